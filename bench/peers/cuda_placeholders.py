"""Lets PyTorch's Linux wheel from PyPI load on a machine without CUDA libraries.

Owns: empty shared libraries for the CUDA libraries that the wheel links against but that a CPU run never calls. They
save about 2 GB of download. Functions are bound at their first call, so a library without symbols is enough for
`import torch`; Python asks for binding at load, so a .pth file in the environment turns that off.
Prevents: a bench that needs a GPU stack to measure a CPU. The real libcudart, libcupti and libnvshmem are installed,
as PyTorch calls them to find that there is no GPU, or reads data symbols of them. Where torch imports without help
(macOS, CPU wheels) nothing is written.

Usage: VENV/bin/python cuda_placeholders.py
"""

import importlib.util
import platform
import re
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

NEEDED_FOR_REAL = ("libcudart", "libcupti", "libnvshmem", "libgomp", "libstdc++", "libgfortran", "libc.")
MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine, ELF specification
MAX_PLACEHOLDERS = 30
MISSING = re.compile(r"(lib[\w+.-]+\.so[\w.]*): cannot open shared object file")


def empty_library(soname: str, machine: int) -> bytes:
    """A 64-bit little-endian ELF shared object with a name and no symbols."""
    strings = b"\0" + soname.encode() + b"\0"
    header_size, segment_size, entry_count = 64, 56, 6
    dynamic_at = header_size + 2 * segment_size
    dynamic_size = entry_count * 16
    hash_at = dynamic_at + dynamic_size
    symbols_at = hash_at + 16
    strings_at = symbols_at + 24
    size = strings_at + len(strings)
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, header_size, 0, 0, 64, segment_size, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, size, size, 0x10000)
    dynamic = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, dynamic_at, dynamic_at, dynamic_size, dynamic_size, 8)
    entries = [(14, 1), (5, strings_at), (10, len(strings)), (6, symbols_at), (4, hash_at), (0, 0)]
    table = b"".join(struct.pack("<QQ", tag, value) for tag, value in entries)
    hash_table = struct.pack("<IIII", 1, 1, 0, 0)
    return header + load + dynamic + table + hash_table + bytes(24) + strings


def import_error() -> str | None:
    """What `import torch` says in a fresh process; None where it works."""
    run = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, text=True)
    return None if run.returncode == 0 else run.stderr.strip()


def missing_library(error: str) -> str:
    found = MISSING.search(error)
    if not found or found.group(1).startswith(NEEDED_FOR_REAL):
        sys.exit(f"torch does not import, and no placeholder would help:\n{error[-800:]}")
    return found.group(1)


def bind_at_first_call() -> None:
    """Makes this environment's Python load extension modules with RTLD_LAZY instead of RTLD_NOW."""
    path = Path(sysconfig.get_paths()["purelib"]) / "bench_lazy_binding.pth"
    path.write_text("import os, sys; sys.setdlopenflags(os.RTLD_LAZY)\n")


def main() -> None:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        sys.exit("torch is not installed in this environment: run setup.sh")
    folder = Path(spec.origin).parent / "lib"
    written: list[str] = []
    if import_error() is not None:
        bind_at_first_call()
    while (error := import_error()) is not None:
        name = missing_library(error)
        if name in written or len(written) == MAX_PLACEHOLDERS:
            sys.exit(f"torch still misses {name} after {len(written)} placeholders: {', '.join(written)}")
        (folder / name).write_bytes(empty_library(name, MACHINES[platform.machine()]))
        written.append(name)
    print(f"placeholders for {len(written)} CUDA libraries: {', '.join(written) or 'none needed'}")


if __name__ == "__main__":
    main()
