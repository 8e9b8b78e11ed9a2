"""Peer (c): the usual stack, written as a competent user of TransformerLens and SAELens would write it.

TransformerLens 3's bridge as SAELens extends it, or the older HookedSAETransformer (--model hooked, slower on the
CPU), without weight processing (SAEs are trained on raw activations); whole SAEs spliced in with their error term
(`use_error_term`), features zeroed by a hook on `hook_sae_acts_post`, every position and every logit. Openers: one
row for each prefix that no other extends (3 rows for 8 openers), and log-probabilities read at all their positions,
since attention is causal. Masks are batched; so are the rows. No key/value reuse: the libraries' splice has none.

Usage: transformerlens_saelens.py WORK.json RESULT.json [--batch N]
"""

import argparse
import json
import warnings
from functools import partial
from pathlib import Path

import torch

from work import Clock, OpenerTree, Work, progress, read_work, result, scores

warnings.filterwarnings(
    "ignore", category=DeprecationWarning
)  # HookedTransformer is the class that SAELens splices into


def load_bridge(work: Work):
    """TransformerLens 3's wrapper around the Hugging Face modules, as SAELens extends it."""
    from sae_lens.analysis.sae_transformer_bridge import SAETransformerBridge

    return SAETransformerBridge.boot_transformers(str(work.model_dir), device="cpu", dtype=torch.float32).eval()


def load_hooked(work: Work):
    """The older HookedTransformer. Its table of names lacks SmolLM2, so the configuration is given to it."""
    from sae_lens import HookedSAETransformer
    from transformer_lens import HookedTransformerConfig
    from transformer_lens.loading_from_pretrained import convert_hf_model_config
    from transformer_lens.pretrained.weight_conversions import convert_llama_weights
    from transformers import AutoModelForCausalLM

    hf_model = AutoModelForCausalLM.from_pretrained(work.model_dir, dtype=torch.float32)
    given = convert_hf_model_config(str(work.model_dir))
    config = HookedTransformerConfig.from_dict(
        {**given, "model_name": "embedded", "device": "cpu", "dtype": torch.float32, "default_prepend_bos": False}
    )
    model = HookedSAETransformer(config)
    model.load_and_process_state_dict(
        convert_llama_weights(hf_model, config),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    return model.eval()


MODELS = {"bridge": load_bridge, "hooked": load_hooked}


def load_saes(work: Work) -> dict:
    from sae_lens import SAE

    saes = {}
    for layer in sorted({l for bank in work.banks for l in bank.layers}):
        saes[layer] = SAE.load_from_disk(work.sae_dir / f"layer_{layer}", device="cpu", dtype="float32")
        # SAELens drops the hook name of a cfg.json that carries no sae_lens_version
        saes[layer].cfg.metadata.hook_name = f"blocks.{layer}.hook_resid_post"
    return saes


def zero_features(acts, hook, keep, latents, start):
    """acts: [rows, T, d_sae]; keep: [rows, K], 0 where a feature is ablated; latents: [K]."""
    acts[:, start:, latents] *= keep[:, None, :]
    return acts


class UsualStack:
    def __init__(self, work: Work, model: str):
        self.work = work
        self.model = MODELS[model](work)
        self.saes = load_saes(work)
        self.tree = OpenerTree(work.openers)
        self.tails = self.tree.longest()

    def hooks(self, bank_index: int, masks: torch.Tensor) -> list:
        """masks: [B, features]; a hook for each layer in the bank, its rows repeated for the tails."""
        bank, hooks = self.work.banks[bank_index], []
        keep = (1 - masks).repeat_interleave(len(self.tails), 0)
        for layer in sorted(set(bank.layers)):
            columns = bank.columns(layer)
            latents = torch.tensor([bank.latents[n] for n in columns])
            zero = partial(zero_features, keep=keep[:, columns], latents=latents, start=bank.start)
            hooks.append((self.hook_name(layer), zero))
        return hooks

    def hook_name(self, layer: int) -> str:
        resolve = getattr(self.model, "get_sae_hook_name", None)  # the bridge renames hook points
        return resolve(self.saes[layer]) if resolve else f"blocks.{layer}.hook_resid_post.hook_sae_acts_post"

    @torch.inference_mode()
    def evaluate(self, prompt: tuple[int, ...], bank_index: int, masks: list[tuple[int, ...]]) -> list[dict]:
        longest = max(map(len, self.tails))
        # padding goes on the right, where causal attention never reads it
        rows = [prompt + tail + (0,) * (longest - len(tail)) for tail in self.tails]
        tokens = torch.tensor(rows).repeat(len(masks), 1)
        saes = [self.saes[l] for l in sorted(set(self.work.banks[bank_index].layers))]
        with self.model.saes(saes=saes, use_error_term=True):
            logits = self.model.run_with_hooks(
                tokens,
                fwd_hooks=self.hooks(bank_index, torch.tensor(masks).float()),
                return_type="logits",
                prepend_bos=False,
            )
        logits = logits.view(len(masks), len(rows), tokens.shape[1], -1)
        at = [
            (next(r for r, t in enumerate(self.tails) if t[: len(p)] == p), len(prompt) - 1 + len(p))
            for p in self.tree.nodes
        ]
        read = torch.stack([logits[:, row, position] for row, position in at], 1)
        return scores(self.tree, read.double().log_softmax(-1), self.work.first_token_ids, self.work.i_token)


def batches(work: Work, size: int) -> list[tuple[tuple[int, ...], int, list[int]]]:
    """Indices of evaluations that share a prompt and a bank, at most `size` at a time."""
    groups: dict = {}
    for n, e in enumerate(work.evaluations):
        groups.setdefault((e.token_ids, e.bank), []).append(n)
    return [
        (prompt, bank, ids[n : n + size]) for (prompt, bank), ids in groups.items() for n in range(0, len(ids), size)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work")
    parser.add_argument("result", type=Path)
    parser.add_argument("--model", choices=MODELS, default="bridge")
    parser.add_argument("--batch", type=int, default=8, help="masks a batch (times the opener rows)")
    options = parser.parse_args()
    work = read_work(options.work)
    torch.set_num_threads(work.threads)
    loading = Clock()
    stack = UsualStack(work, options.model)
    load_seconds = loading.read()[0]
    progress(f"loaded in {load_seconds:.1f} s; {len(work.evaluations)} evaluations, {len(stack.tails)} rows each")

    plan = batches(work, options.batch)

    def mask_of(ids: list[int]) -> list[tuple[int, ...]]:
        return [work.evaluations[n].mask for n in ids]

    stack.evaluate(plan[0][0], plan[0][1], mask_of(plan[0][2]))  # warm-up
    rows: list = [None] * len(work.evaluations)
    clock = Clock()
    for done, (prompt, bank, ids) in enumerate(plan, 1):
        for n, row in zip(ids, stack.evaluate(prompt, bank, mask_of(ids))):
            rows[n] = row
        progress(f"batch {done} of {len(plan)}, {clock.read()[0]:.1f} s")
    spent = clock.read()
    notes = f"{type(stack.model).__name__}, no weight processing, SAEs with error term, all positions, all logits"
    options.result.write_text(
        json.dumps(
            result(
                spent=spent,
                load_seconds=load_seconds,
                rows=rows,
                dtype="float32",
                batch=options.batch,
                notes=notes,
                packages=["torch", "transformers", "transformer-lens", "sae-lens"],
            )
        )
    )
    progress(f"{len(rows) / spent[0]:.2f} evaluations/s")


if __name__ == "__main__":
    main()
