"""Runs approximators of shapiq on the planted functions that bench/fm/shapiq.ts wrote, with as many evaluations as each budget allows, and
prints held-out R2 and recall of true pairs as JSON. Owns nothing but that: the functions are exact copies, with the same noise level.

FBII of order 2 is the best model of second order when all masks count the same, so it can be compared with ours as it is: a prediction is
the sum of its values over the subsets of what is off."""

import json
import pathlib
import sys
import warnings

import numpy as np
from shapiq.approximator import ProxySPEX, RegressionFBII, SVARMIQ

warnings.filterwarnings("ignore")
TEST_ROWS = 2000
folder = pathlib.Path(sys.argv[1])
work = json.loads((folder / "cases.json").read_text())
columns, noise = work["columns"], work["noise"]

APPROXIMATORS = {
    "ProxySPEX": lambda seed: ProxySPEX(n=columns, index="FBII", max_order=2, random_state=seed),
    "RegressionFBII": lambda seed: RegressionFBII(n=columns, max_order=2, random_state=seed),
    "SVARMIQ": lambda seed: SVARMIQ(n=columns, max_order=2, index="SII", random_state=seed),
}


def scorer(planted, seed, spread):
    """A score a mask, the same each time it is asked for: a model has no noise of its own, but the machine of the bench sees one draw."""
    weights = np.asarray(planted["weights"])

    def score(masks):
        masks = np.atleast_2d(np.asarray(masks)).astype(float)
        out = planted["base"] + masks @ weights
        for term in planted["terms"]:
            out += term["size"] * masks[:, term["features"]].prod(axis=1)
        if spread:
            out += spread * np.random.default_rng(seed).standard_normal(len(masks))
        return out

    return score


def values_of(interactions):
    return {pair: float(interactions[pair]) for pair in interactions.interaction_lookup}


def judge(planted, values, seed, can_predict):
    true = {tuple(sorted(pair)) for pair in planted["pairs"]}
    pairs = sorted((pair for pair in values if len(pair) == 2), key=lambda pair: -abs(values[pair]))[: len(true)]
    recall = len(true & {tuple(sorted(pair)) for pair in pairs}) / len(true)
    if not can_predict:
        return None, recall
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
                # SII is no least-squares fit: its values do not add up to a prediction.
                measured.append(judge(planted, values_of(interactions), seed, name != "SVARMIQ"))
            complete = len(measured) == len(case["seeds"])
            r2 = [r for r, _ in measured if r is not None]
            found[name] = (
                {"r2": sum(r2) / len(r2) if r2 else None, "recall": sum(r for _, r in measured) / len(measured)}
                if complete
                else None
            )
        rows.append({"kind": case["kind"], "rows": budget, "approximators": found})
        print(f"shapiq: {case['kind']}, {budget} evaluations", file=sys.stderr)
(folder / "shapiq.json").write_text(json.dumps(rows))
