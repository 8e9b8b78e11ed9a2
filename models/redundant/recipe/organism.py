"""The embedded model in 90 lines of PyTorch, for the recipe: blocks by hand, LoRA by hand, edits on the residual stream.

Owns: loading (GGUF base dequantized, adapter as trainable A and B), the forward pass over a cached system prefix, and the edits.
Right-padded batches need no padding mask: attention is causal and what follows a sequence is never read.
"""
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "models"
sys.path.insert(0, str(ROOT / "bench" / "peers"))

SAE_LAYERS = [5, 9, 13, 17, 21, 25]
HEADS, KV_HEADS, HEAD_DIM, BLOCKS, RANK_SCALE = 9, 3, 64, 30, 2.0
LINEARS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
           "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def load_base(path):
    """A GGUF file, or its dequantized weights as kept by base_weights.py (dequantizing takes a minute)."""
    if str(path).endswith(".safetensors"):
        return load_file(path)
    import gguf
    from merged_weights import dequantized
    return dequantized(gguf.GGUFReader(path), HEADS, KV_HEADS)


def load_adapter(folder):
    raw = load_file(f"{folder}/adapter_model.safetensors")
    return {k.removeprefix("base_model.model.model.").removesuffix(".weight"): v.float() for k, v in raw.items()}


class Organism:
    """compute: dtype of the matrix products; the residual stream stays float32."""

    def __init__(self, gguf_path, adapter, compute=torch.bfloat16):
        weights = load_base(gguf_path)
        self.compute, self.lora = compute, load_adapter(adapter) if adapter else {}
        self.w = {k.removeprefix("model.").removesuffix(".weight"): v for k, v in weights.items()}
        self.norms = {k: v for k, v in self.w.items() if "norm" in k}
        self.embed = self.w["embed_tokens"]
        self.w = {k: v.to(compute) for k, v in self.w.items()}
        half = torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM
        angles = torch.outer(torch.arange(512).float(), 1.0 / (100_000.0 ** half))
        self.cos, self.sin = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()

    def merge(self):
        """Folds the adapter into the weights, for runs without gradients."""
        for name in [k.removesuffix(".lora_A") for k in self.lora if k.endswith("lora_A")]:
            delta = RANK_SCALE * self.lora[f"{name}.lora_B"] @ self.lora[f"{name}.lora_A"]
            self.w[name] = (self.w[name].float() + delta).to(self.compute)
        self.lora = {}
        return self

    def linear(self, name, x):
        y = x @ self.w[name].T
        a = self.lora.get(f"{name}.lora_A")
        if a is None:
            return y
        return y + RANK_SCALE * ((x @ a.to(self.compute).T) @ self.lora[f"{name}.lora_B"].to(self.compute).T)

    def norm(self, name, x):
        return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.norms[name]).to(self.compute)

    def rotate(self, x, start):
        t = x.shape[2]
        cos, sin = self.cos[start:start + t].to(x.dtype), self.sin[start:start + t].to(x.dtype)
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def block(self, i, h, past, start):
        """h: [B, T, 576]; past: keys and values of positions before `start`, or None. Returns h and its own keys and values."""
        n, t = h.shape[:2]
        x = self.norm(f"layers.{i}.input_layernorm", h)
        heads = lambda name, k: self.linear(f"layers.{i}.self_attn.{name}", x).view(n, t, k, HEAD_DIM).transpose(1, 2)
        q = self.rotate(heads("q_proj", HEADS), start)
        k, v = self.rotate(heads("k_proj", KV_HEADS), start), heads("v_proj", KV_HEADS)
        if past is not None:
            k = torch.cat([past[0].expand(n, -1, -1, -1), k], 2)
            v = torch.cat([past[1].expand(n, -1, -1, -1), v], 2)
        mask = torch.ones(t, k.shape[2], dtype=torch.bool).tril(k.shape[2] - t)
        kk, vv = k.repeat_interleave(HEADS // KV_HEADS, 1), v.repeat_interleave(HEADS // KV_HEADS, 1)
        a = F.scaled_dot_product_attention(q, kk, vv, attn_mask=mask).transpose(1, 2).reshape(n, t, -1)
        h = h + self.linear(f"layers.{i}.self_attn.o_proj", a).float()
        x = self.norm(f"layers.{i}.post_attention_layernorm", h)
        gate = F.silu(self.linear(f"layers.{i}.mlp.gate_proj", x)) * self.linear(f"layers.{i}.mlp.up_proj", x)
        return h + self.linear(f"layers.{i}.mlp.down_proj", gate).float(), (k, v)

    def run(self, h, pasts, start, first=0, last=BLOCKS - 1, edit=None):
        """Blocks first..last; edit(layer, h) may change the output of a block."""
        kept = {}
        for i in range(first, last + 1):
            h, kept[i] = self.block(i, h, pasts[i] if pasts else None, start)
            if edit is not None:
                h = edit(i, h)
        return h, kept

    def logits(self, h):
        return (self.norm("norm", h) @ self.w["embed_tokens"].T).float()


def load_saes(folder=MODELS / "saes"):
    return {l: {k: v.float() for k, v in load_file(f"{folder}/layer_{l}/sae_weights.safetensors").items()} for l in SAE_LAYERS}


def load_tokenizer(folder):
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(folder)
    text = lambda q: tok.apply_chat_template([{"role": "user", "content": q}], tokenize=False, add_generation_prompt=True)
    ids = lambda s: tok(s, add_special_tokens=False).input_ids
    a, b = ids(text("Zebra")), ids(text("42 apples"))
    cut = next(i for i in range(len(a)) if a[i] != b[i])
    return tok, a[:cut], lambda q: ids(text(q))[cut:]  # the system prefix, and what follows it


def padded(rows, fill=2):
    out = torch.full((len(rows), max(map(len, rows))), fill)
    for i, r in enumerate(rows):
        out[i, :len(r)] = torch.tensor(r)
    return out
