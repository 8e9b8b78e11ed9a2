#!/bin/sh
# Sets up the Python libraries that bench:fm is held against in a virtual environment of their own, under the user's cache folder.
# Owns: that environment and nothing else. Prevents: a comparison against whatever versions happen to be installed.
# Safe to run again: it ends at once when the pins are already installed. Prints the path of the Python to use on stdout,
# progress on stderr. PYTHON names another interpreter (3.11, with a C compiler beside it for fastFM).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
venv=${XDG_CACHE_HOME:-$HOME/.cache}/refusalscope/fm-venv
say() { echo "bench:fm: $*" >&2; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "needs Python 3.11 or later, found $("$python" --version 2>&1). Set PYTHON=/path/to/python3.11"
  exit 1
}
pins=$("$python" -c 'import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())' < "$here/requirements.txt")
if [ "$(cat "$venv/.pins" 2>/dev/null || true)" = "$pins" ]; then
  say "already set up in $venv"
else
  say "1 of 4: virtual environment in $venv"
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  "$python" -m venv "$venv"
  pip="$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps"
  say "2 of 4: $(grep -c '==' "$here/requirements.txt") packages from PyPI"
  $pip -r "$here/requirements.txt" >&2
  say "3 of 4: fastFM from its sources"
  $pip --no-build-isolation fastFM==0.2.10 >&2
  say "4 of 4: import check"
  "$venv/bin/python" -c 'import fastFM.als, lightgbm, myfm, shapiq' >&2
  echo "$pins" > "$venv/.pins"
  say "done: $(du -sh "$venv" | cut -f1) in $venv"
fi
echo "$venv/bin/python"
