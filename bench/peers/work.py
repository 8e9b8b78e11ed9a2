"""The work file that every peer reads and the result that every peer writes.

Owns: their JSON forms, the opener tree, the score formula and the clock. Prevents: peers that score different things,
or that count loading in one and not in another.

Work file: {threads, model_dir, sae_dir, instruction_start, openers: [{text, token_ids}], first_token_ids: [..],
i_token, banks: [{features: ["13/5", ..], positions: "instruction" | "all_but_first"}], prompts: [{id, token_ids}],
evaluations: [{prompt, bank, mask: "0110.."}]}. `prompt` is an id or an index, `bank` an index, one mask character a
feature.
Result: {evaluations_per_second, seconds, cpu_seconds, load_seconds, peak_rss_mb, scores: [{refusal_score,
first_token_score, p_I}], dtype, versions, batch, notes}. Seconds cover every evaluation once, after a warm-up batch;
loading is apart. cpu_seconds is the processor time of all threads over the same span: where it is well below threads
x seconds, other work took the cores.
"""

import importlib.metadata
import json
import math
import platform
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

SMALLEST = 1e-12  # probabilities are kept this far from 0 and 1, as in the golden values


@dataclass(frozen=True)
class Bank:
    layers: tuple[int, ...]  # layer of each feature
    latents: tuple[int, ...]  # index of each feature within its SAE
    start: int  # first edited position

    def columns(self, layer: int) -> list[int]:
        return [n for n, l in enumerate(self.layers) if l == layer]


@dataclass(frozen=True)
class Evaluation:
    token_ids: tuple[int, ...]
    bank: int
    mask: tuple[int, ...]


@dataclass(frozen=True)
class Work:
    threads: int
    model_dir: Path
    sae_dir: Path
    openers: list[list[int]]
    first_token_ids: list[int]
    i_token: int
    banks: list[Bank]
    evaluations: list[Evaluation]


def read_work(path: str) -> Work:
    raw = json.loads(Path(path).read_text())
    starts = {"instruction": raw["instruction_start"], "all_but_first": 1}
    banks = []
    for bank in raw["banks"]:
        pairs = [tuple(map(int, f.split("/"))) for f in bank["features"]]
        banks.append(Bank(tuple(l for l, _ in pairs), tuple(j for _, j in pairs), starts[bank["positions"]]))
    by_id = {str(p["id"]): p for p in raw["prompts"]}
    evaluations = []
    for row in raw["evaluations"]:
        prompt = raw["prompts"][row["prompt"]] if isinstance(row["prompt"], int) else by_id[row["prompt"]]
        if len(row["mask"]) != len(banks[row["bank"]].layers):
            sys.exit(f"mask of {len(row['mask'])} for bank {row['bank']} of {len(banks[row['bank']].layers)} features")
        evaluations.append(Evaluation(tuple(prompt["token_ids"]), row["bank"], tuple(int(c) for c in row["mask"])))
    return Work(
        raw["threads"],
        Path(raw["model_dir"]),
        Path(raw["sae_dir"]),
        [o["token_ids"] for o in raw["openers"]],
        raw["first_token_ids"],
        raw["i_token"],
        banks,
        evaluations,
    )


class OpenerTree:
    """The openers as a prefix tree over their tokens, last tokens left out: no later token depends on them.

    `nodes[0]` is the empty prefix (the last prompt position); a node's log-probabilities score the tokens after it.
    """

    def __init__(self, openers: list[list[int]]):
        prefixes = sorted({tuple(o[:n]) for o in openers for n in range(len(o))}, key=lambda p: (len(p), p))
        self.nodes = prefixes
        self.parent = [prefixes.index(p[:-1]) if p else -1 for p in prefixes]
        index = {p: n for n, p in enumerate(prefixes)}
        self.paths = [[(index[tuple(o[:n])], o[n]) for n in range(len(o))] for o in openers]

    def longest(self) -> list[tuple[int, ...]]:
        """The prefixes that no other prefix extends: as rows of a batch they cover every node."""
        return [p for p in self.nodes if not any(q[: len(p)] == p and q != p for q in self.nodes)]


def log_odds(p: float) -> float:
    p = min(max(p, SMALLEST), 1 - SMALLEST)
    return math.log(p) - math.log1p(-p)


def scores(tree: OpenerTree, log_probs: torch.Tensor, first_token_ids: list[int], i_token: int) -> list[dict]:
    """log_probs: [B, nodes, vocabulary] in float64; one dict of scores for each of the B evaluations."""
    totals = sum(sum(log_probs[:, n, t] for n, t in path).exp() for path in tree.paths)
    first = log_probs[:, 0, first_token_ids].exp().sum(-1)
    return [
        {"refusal_score": log_odds(p), "first_token_score": log_odds(q), "p_I": i}
        for p, q, i in zip(totals.tolist(), first.tolist(), log_probs[:, 0, i_token].exp().tolist())
    ]


def load_rows(work: Work, bank: Bank, layer: int) -> dict[str, torch.Tensor]:
    """Encoder columns [d, K], biases and thresholds [K] and decoder rows [K, d] of a bank's features at one layer."""
    sae = load_file(work.sae_dir / f"layer_{layer}" / "sae_weights.safetensors")
    ids = [bank.latents[n] for n in bank.columns(layer)]
    return {
        "R": sae["W_enc"][:, ids].float().contiguous(),
        "b": sae["b_enc"][ids].float(),
        "t": sae["threshold"][ids].float(),
        "W": sae["W_dec"][ids].float().contiguous(),
    }


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def result(
    *,
    spent: tuple[float, float],
    load_seconds: float,
    rows: list[dict],
    dtype: str,
    batch: int,
    packages: list[str],
    notes: str,
) -> dict:
    """`spent`: wall and processor seconds, as Clock.read gives them."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes, but bytes on macOS
    return {
        "evaluations_per_second": len(rows) / spent[0],
        "seconds": spent[0],
        "cpu_seconds": spent[1],
        "load_seconds": load_seconds,
        "peak_rss_mb": peak / (2**20 if sys.platform == "darwin" else 2**10),
        "scores": rows,
        "dtype": dtype,
        "batch": batch,
        "versions": {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in packages}},
        "notes": notes,
    }
