#!/bin/sh
# Sets up the Python peers of the bench (bench/python-environment.sh says how, and what it prints).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../python-environment.sh"
finish() { "$1" "$here/cuda_placeholders.py"; }
set_up 'bench peers' bench-venv 'torch, transformers, transformer_lens, sae_lens, gguf, safetensors' \
  ', about 0.8 GB (PyTorch is most of it)' "$here/requirements.txt" "$here/cuda_placeholders.py"
