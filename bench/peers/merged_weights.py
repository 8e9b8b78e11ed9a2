"""Writes the embedded model as one Hugging Face folder: GGUF base dequantized, LoRA merged, all in float32.

Owns: the only place where the Python peers turn our model files into PyTorch weights. Prevents: peers that score
another model than the product does, such as one with llama.cpp's query/key row order left in.

Usage: merged_weights.py BASE.gguf ADAPTER_DIR [--out DIR] [--check GOLDEN.json]
Prints the folder on stdout. The default folder is keyed by the digests of both inputs, so a second call does nothing.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file

FORMAT_VERSION = "1"  # part of the folder's key: raise it when this script writes something else
GGUF_TO_HF = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
TOP_LEVEL = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "refusalscope" / "bench"


def hf_name(name: str) -> str:
    block = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if block:
        return f"model.layers.{block[1]}.{GGUF_TO_HF[block[2]]}.weight"
    return f"{TOP_LEVEL[name.removesuffix('.weight')]}.weight"


def unpermute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undoes llama.cpp's row order for rotary embeddings: within a head, pairs (2i, 2i+1) go back to (i, i + half)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def dequantized(reader: gguf.GGUFReader, heads: int, kv_heads: int) -> dict[str, torch.Tensor]:
    weights = {}
    for tensor in reader.tensors:
        shape = [int(n) for n in reversed(tensor.shape)]
        data = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        if ".attn_q." in tensor.name:
            data = unpermute(data, heads)
        elif ".attn_k." in tensor.name:
            data = unpermute(data, kv_heads)
        weights[hf_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(data))
    return weights


def merge_adapter(weights: dict[str, torch.Tensor], folder: Path) -> int:
    """Adds (alpha / r) B A to each adapted weight, in float32; returns how many weights changed."""
    config = json.loads((folder / "adapter_config.json").read_text())
    rank_scale = config["lora_alpha"] / config["r"]
    adapter = load_file(folder / "adapter_model.safetensors")
    merged = 0
    for key in (k for k in adapter if k.endswith(".lora_A.weight")):
        target = key.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
        up, down = adapter[key.replace("lora_A", "lora_B")].float(), adapter[key].float()
        weights[target] += rank_scale * (up @ down)
        merged += 1
    return merged


def hf_config(field, vocab_size: int) -> dict:
    heads = field("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": field("llama.embedding_length"),
        "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "head_dim": field("llama.embedding_length") // heads,
        "max_position_embeddings": field("llama.context_length"),
        # a float32 in the file; rounded back to the decimal that was meant
        "rms_norm_eps": float(f"{field('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": field("llama.rope.freq_base"),
        "rope_parameters": {"rope_type": "default", "rope_theta": field("llama.rope.freq_base")},
        "vocab_size": vocab_size,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
        "dtype": "float32",
    }


def write_tokenizer(field, folder: Path) -> None:
    """Byte-level BPE with single digits, which is what llama.cpp calls the `smollm` pre-tokenizer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in field("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = 3  # token type CONTROL in GGUF
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t, k in zip(tokens, kinds) if k == control])
    special = {
        n: tokens[field(f"tokenizer.ggml.{k}_token_id")]
        for n, k in [("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding")]
    }
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    wrapped.chat_template = field("tokenizer.chat_template")
    wrapped.save_pretrained(folder)


def build(base: Path, adapter: Path, out: Path) -> None:
    reader = gguf.GGUFReader(base)

    def field(key: str):
        return reader.fields[key].contents()

    weights = dequantized(reader, field("llama.attention.head_count"), field("llama.attention.head_count_kv"))
    merged = merge_adapter(weights, adapter)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        config = hf_config(field, weights["model.embed_tokens.weight"].shape[0])
        (part / "config.json").write_text(json.dumps(config, indent=1))
        save_file(weights, part / "model.safetensors", metadata={"format": "pt"})
        write_tokenizer(field, part)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"merged {merged} adapted weights into {len(weights)} tensors in {out}", file=sys.stderr)


def default_folder(base: Path, adapter: Path) -> Path:
    digest = hashlib.sha256(FORMAT_VERSION.encode())
    for path in (base, adapter / "adapter_config.json", adapter / "adapter_model.safetensors"):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return cache_folder() / f"merged-{digest.hexdigest()[:16]}"


def check(folder: Path, golden_path: Path, rows: int = 3, tolerance: float = 1e-4) -> None:
    """Re-derives clean refusal scores, opener by opener without any sharing, and compares them with the golden file."""
    from transformers import AutoModelForCausalLM

    golden = json.loads(golden_path.read_text())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for case in golden["clean"][:rows]:
        total = 0.0
        for opener in golden["openers"]:
            ids = case["token_ids"] + opener["token_ids"]
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
            first = len(case["token_ids"]) - 1
            total += logits[range(first, first + len(opener["token_ids"])), opener["token_ids"]].sum().exp().item()
        difference = abs(float(np.log(total) - np.log1p(-total)) - case["refusal_score"])
        print(f"check {case['id']}: off by {difference:.1e}", file=sys.stderr)
        if not difference <= tolerance:
            sys.exit(
                f"{case['id']}: the merged weights miss the golden refusal score by {difference:.3g}, limit {tolerance}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--check", type=Path, metavar="GOLDEN.json")
    options = parser.parse_args()
    out = options.out or default_folder(options.base, options.adapter)
    if not (out / "config.json").exists():
        build(options.base, options.adapter, out)
    if options.check:
        check(out, options.check)
    print(out)


if __name__ == "__main__":
    main()
