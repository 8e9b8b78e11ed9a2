"""Runs approximators of shapiq on the planted functions that bench/fm/shapiq.ts wrote, with as many evaluations as each budget allows, and
prints held-out R2 and recall of true pairs as JSON. Owns nothing but that: the functions are exact copies, with the same noise level.

FBII of order 2 is the best model of second order when all masks count the same, so it can be compared with ours as it is: a prediction is
the sum of its values over the subsets of what is off."""

import json
import pathlib
import sys
import warnings

import numpy as np
from shapiq.approximator import ProxySPEX, RegressionFBII

warnings.filterwarnings("ignore")
TEST_ROWS = 2000
folder = pathlib.Path(sys.argv[1])
work = json.loads((folder / "cases.json").read_text())
columns, noise = work["columns"], work["noise"]

APPROXIMATORS = {
    "ProxySPEX": lambda seed: ProxySPEX(n=columns, index="FBII", max_order=2, random_state=seed),
    "RegressionFBII": lambda seed: RegressionFBII(n=columns, max_order=2, random_state=seed),
}


def scorer(planted, seed, spread):
    weights = np.asarray(planted["weights"])
    random = np.random.default_rng(seed)

    def score(masks):
        masks = np.atleast_2d(np.asarray(masks)).astype(float)
        out = planted["base"] + masks @ weights + spread * random.standard_normal(len(masks))
        for term in planted["terms"]:
            out += term["size"] * masks[:, term["features"]].prod(axis=1)
        return out

    return score


def values_of(interactions):
    return {pair: float(interactions[pair]) for pair in interactions.interaction_lookup}


def judge(planted, values, seed):
    true = {tuple(sorted(pair)) for pair in planted["pairs"]}
    pairs = sorted((pair for pair in values if len(pair) == 2), key=lambda pair: -abs(values[pair]))[: len(true)]
    recall = len(true & {tuple(sorted(pair)) for pair in pairs}) / len(true)
    masks = np.random.default_rng(5000 + seed).integers(0, 2, (TEST_ROWS, columns))
    target = scorer(planted, 6000 + seed, noise)(masks)
    told = sum(value * masks[:, list(pair)].prod(axis=1) for pair, value in values.items())
    return float(1 - ((told - target) ** 2).sum() / ((target - target.mean()) ** 2).sum()), recall


rows = []
for case in work["cases"]:
    for budget in work["budgets"]:
        found = {}
        for name, create in APPROXIMATORS.items():
            measured = []
            for seed, planted in enumerate(case["seeds"]):
                try:
                    interactions = create(seed).approximate(budget, scorer(planted, 1 + seed, noise))
                except Exception as problem:  # a budget too small for it, say: no number, and the reason on stderr
                    print(f"{name}, {case['kind']}, {budget}: {type(problem).__name__} {problem}", file=sys.stderr)
                    break
                measured.append(judge(planted, values_of(interactions), seed))
            complete = len(measured) == len(case["seeds"])
            mean = [sum(values) / len(values) for values in zip(*measured)]
            found[name] = {"r2": mean[0], "recall": mean[1]} if complete else None
        rows.append({"kind": case["kind"], "rows": budget, "approximators": found})
        print(f"shapiq: {case['kind']}, {budget} evaluations", file=sys.stderr)
(folder / "shapiq.json").write_text(json.dumps(rows))
