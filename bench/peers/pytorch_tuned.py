"""Peer (d): a fair hand-optimized PyTorch loop over transformers modules.

What it does: the unedited prefix of the prompt (positions before the first edited one) runs once and its keys and
values are reused; edits read and write only the SAE rows in use; masks are batched; the openers' prefix tree is
appended to the prompt and runs in the same pass (custom attention mask and position ids); logits only at the tree's
nodes. Element types, --dtype: float32; bfloat16, all of it; mixed, with bfloat16 inputs and weights for matrix
products and everything else in float32; auto, which times all three on the first evaluations and takes the fastest
whose scores are within 0.05 of float32 with the same flips.
What it leaves out on purpose, because it is the engine's own idea and not the habit: resuming from kept residuals at
edited layers.

Usage: pytorch_tuned.py WORK.json RESULT.json [--dtype auto|float32|bfloat16|mixed] [--batch N]
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, DynamicCache

from work import Clock, OpenerTree, Work, load_rows, progress, read_work, result, scores

AGREE_WITHIN = 0.05  # of the float32 refusal score, the limit that a dtype must keep to be chosen
TRIAL_EVALUATIONS = 32
DTYPES = ("float32", "bfloat16", "mixed")


class Edits:
    """Sparse-column edits of one bank: z = x R + b, a = z * (z > t), x' = x - (m * a) W at every row it is given."""

    def __init__(self, work: Work, bank_index: int):
        bank = work.banks[bank_index]
        self.start = bank.start
        self.columns = {l: bank.columns(l) for l in sorted(set(bank.layers))}
        self.rows = {l: load_rows(work, bank, l) for l in self.columns}

    def apply(self, layer: int, x: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """x: [B, T, d] of any element type; masks: [B, features]."""
        rows = self.rows[layer]
        z = x.float() @ rows["R"] + rows["b"]
        a = z * (z > rows["t"]) * masks[:, None, self.columns[layer]]
        return x - (a @ rows["W"]).to(x.dtype)


class TunedLoop:
    def __init__(self, work: Work, dtype: str):
        self.work, self.dtype = work, dtype
        weights = torch.bfloat16 if dtype == "bfloat16" else torch.float32
        self.model = AutoModelForCausalLM.from_pretrained(
            work.model_dir, dtype=weights, attn_implementation="sdpa"
        ).eval()
        self.tree = OpenerTree(work.openers)
        self.edits = [Edits(work, n) for n in range(len(work.banks))]
        self.prefixes: dict[tuple[int, ...], DynamicCache] = {}
        self.active: tuple[Edits, torch.Tensor] | None = None
        for n, block in enumerate(self.model.model.layers):
            if any(n in e.columns for e in self.edits):
                block.register_forward_hook(self.hook(n))
        if dtype == "mixed":
            self.cast_matrix_products()

    def cast_matrix_products(self) -> None:
        """Linear layers multiply in bfloat16 and hand back float32; norms, residuals and softmax stay."""

        def forward(layer, weight):
            return lambda x: torch.nn.functional.linear(x.bfloat16(), weight).float()

        for layer in self.model.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.forward = forward(layer, layer.weight.detach().bfloat16())

    def hook(self, layer: int):
        def edit(_module, _inputs, output):
            if self.active is None or layer not in self.active[0].columns:
                return None
            edits, masks = self.active
            hidden = output[0] if isinstance(output, tuple) else output
            hidden = edits.apply(layer, hidden, masks)
            return (hidden,) + output[1:] if isinstance(output, tuple) else hidden

        return edit

    def prefix_cache(self, ids: tuple[int, ...]) -> DynamicCache:
        if ids not in self.prefixes:
            self.active = None
            cache = DynamicCache(config=self.model.config)
            self.model.model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True)
            self.prefixes[ids] = cache
        return self.prefixes[ids]

    def expanded(self, prefix: DynamicCache, rows: int) -> DynamicCache:
        """A cache for `rows` evaluations; views of the prefix, which the append copies."""
        cache = DynamicCache(config=self.model.config)
        for n, layer in enumerate(prefix.layers):
            cache.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), n)
        return cache

    def layout(self, prompts: list[tuple[int, ...]], start: int):
        """Rows of [prompt after the prefix | padding | opener tree]: ids, positions [B, T], mask [B, 1, T, start+T]."""
        nodes = self.tree.nodes[1:]
        body = max(map(len, prompts)) - start
        width = body + len(nodes)
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        positions = torch.zeros(len(prompts), width, dtype=torch.long)
        seen = torch.zeros(len(prompts), width, start + width, dtype=torch.bool)
        seen[:, :, :start] = True
        seen[:, :body, start : start + body] = torch.ones(body, body, dtype=torch.bool).tril()
        for n, prefix in enumerate(nodes):
            ids[:, body + n] = prefix[-1]
            ancestors = [start + body + k for k, other in enumerate(nodes) if prefix[: len(other)] == other]
            seen[:, body + n, ancestors] = True
        for row, prompt in enumerate(prompts):
            length = len(prompt) - start
            ids[row, :length] = torch.tensor(prompt[start:])
            positions[row, :length] = torch.arange(start, len(prompt))
            positions[row, body:] = torch.tensor([len(prompt) - 1 + len(p) for p in nodes])
            seen[row, body:, start : start + length] = True
        blocked = torch.finfo(self.model.dtype).min
        mask = torch.zeros(seen.shape, dtype=self.model.dtype).masked_fill_(~seen, blocked)
        return ids, positions, mask[:, None], body

    @torch.inference_mode()
    def evaluate(self, prompts: list[tuple[int, ...]], bank_index: int, masks: list[tuple[int, ...]]) -> list[dict]:
        """Prompts of one batch share their first `start` tokens."""
        edits = self.edits[bank_index]
        cache = self.expanded(self.prefix_cache(prompts[0][: edits.start]), len(prompts))
        ids, positions, mask, body = self.layout(prompts, edits.start)
        self.active = (edits, torch.tensor(masks, dtype=torch.float32))
        hidden = self.model.model(
            input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=True
        ).last_hidden_state
        self.active = None
        rows = torch.arange(len(prompts))
        last = hidden[rows, torch.tensor([len(p) - edits.start - 1 for p in prompts])]
        logits = self.model.lm_head(torch.cat([last[:, None], hidden[:, body:]], 1)).float()
        # the normalizer in float32, over the vocabulary; the few entries that are read, in float64
        log_probs = logits.sub_(logits.logsumexp(-1, keepdim=True))
        return scores(self.tree, log_probs, self.work.first_token_ids, self.work.i_token)


def batches(work: Work, size: int) -> list[list[int]]:
    """Evaluations that share a bank and the prefix before its first edited position, longest prompts first."""
    groups: dict = {}
    for n, e in enumerate(work.evaluations):
        groups.setdefault((e.bank, e.token_ids[: work.banks[e.bank].start]), []).append(n)
    plan = []
    for ids in groups.values():
        ids.sort(key=lambda n: (-len(work.evaluations[n].token_ids), work.evaluations[n].token_ids))
        plan += [ids[n : n + size] for n in range(0, len(ids), size)]
    return plan


def run(loop: TunedLoop, work: Work, plan: list[list[int]], say=None) -> tuple[tuple[float, float], dict[int, dict]]:
    """Wall and processor seconds, and scores by evaluation, after a warm-up on the first batch."""

    def one(ids: list[int]) -> list[dict]:
        chosen = [work.evaluations[n] for n in ids]
        return loop.evaluate([e.token_ids for e in chosen], chosen[0].bank, [e.mask for e in chosen])

    one(plan[0])
    rows: dict[int, dict] = {}
    clock = Clock()
    for done, ids in enumerate(plan, 1):
        rows.update(zip(ids, one(ids)))
        if say:
            say(f"batch {done} of {len(plan)}, {clock.read()[0]:.1f} s")
    return clock.read(), rows


def agrees(reference: dict[int, dict], other: dict[int, dict]) -> tuple[bool, float]:
    worst = max(abs(reference[n]["refusal_score"] - other[n]["refusal_score"]) for n in reference)
    flips = all((reference[n]["refusal_score"] < 0) == (other[n]["refusal_score"] < 0) for n in reference)
    return worst <= AGREE_WITHIN and flips, worst


def choose_dtype(work: Work, plan: list[list[int]]) -> tuple[str, str]:
    """The dtype to use and what was measured. Models are built and dropped one by one: peak memory is that of one."""
    trial, count = [], 0
    for ids in plan:
        if count < TRIAL_EVALUATIONS:
            trial.append(ids)
            count += len(ids)
    notes, best, reference = [], ("float32", float("inf")), None
    for dtype in DTYPES:
        (seconds, _), rows = run(TunedLoop(work, dtype), work, trial)
        reference = reference or rows
        fits, worst = agrees(reference, rows)
        notes.append(
            f"{dtype} {count / seconds:.1f}/s, off by {worst:.3f}{'' if fits else ' or flips differ: not used'}"
        )
        progress(f"trial of {count}: {notes[-1]}")
        if fits and seconds < best[1]:
            best = (dtype, seconds)
    return best[0], "; ".join(notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work")
    parser.add_argument("result", type=Path)
    parser.add_argument("--dtype", choices=("auto", *DTYPES), default="auto")
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    work = read_work(options.work)
    torch.set_num_threads(work.threads)
    plan = batches(work, options.batch)
    dtype, notes = (options.dtype, "") if options.dtype != "auto" else choose_dtype(work, plan)
    loading = Clock()
    loop = TunedLoop(work, dtype)
    load_seconds = loading.read()[0]
    progress(f"{dtype}, loaded in {load_seconds:.1f} s; {len(work.evaluations)} evaluations in {len(plan)} batches")
    spent, rows = run(loop, work, plan, progress)
    options.result.write_text(
        json.dumps(
            result(
                spent=spent,
                load_seconds=load_seconds,
                rows=[rows[n] for n in range(len(rows))],
                dtype=dtype,
                batch=options.batch,
                notes=notes,
                packages=["torch", "transformers"],
            )
        )
    )
    progress(f"{len(rows) / spent[0]:.2f} evaluations/s")


if __name__ == "__main__":
    main()
