# For the setup.sh of a bench, which sources it: a virtual environment under the user's cache folder with exactly the pins of its files.
# Owns: that environment and nothing else. Prevents: a comparison against whatever versions happen to be installed, and a second copy of
# how that is prevented. Safe to run again: it ends at once when the pins are already installed. PYTHON names another interpreter (3.11 or
# later).
#
#   set_up BENCH NAME IMPORTS NOTE REQUIREMENTS [FILE...]
#
# BENCH stands before each line of progress (stderr); NAME is the environment's folder; IMPORTS is what must be importable at the end; NOTE
# goes after the number of packages; FILEs decide the pins beside REQUIREMENTS. If the caller has a function `finish`, it is run with the
# environment's Python after the packages. Prints the path of that Python on stdout.
set_up() {
  bench=$1 venv=${XDG_CACHE_HOME:-$HOME/.cache}/refusalscope/$2 imports=$3 note=$4 requirements=$5
  shift 4
  python=${PYTHON:-python3}
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "needs Python 3.11 or later, found $("$python" --version 2>&1). Set PYTHON=/path/to/python3.11"
    exit 1
  }
  pins=$(cat "$@" | "$python" -c 'import hashlib,sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
  if [ "$(cat "$venv/.pins" 2>/dev/null || true)" = "$pins" ]; then
    say "already set up in $venv"
  else
    build_environment
  fi
  echo "$venv/bin/python"
}

build_environment() {
  say "1 of 4: virtual environment in $venv"
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  "$python" -m venv "$venv"
  say "2 of 4: $(grep -c '==' "$requirements") packages from PyPI$note"
  add_packages -r "$requirements"
  say "3 of 4: what no wheel brings"
  if command -v finish >/dev/null; then finish "$venv/bin/python" >&2; fi
  say "4 of 4: import check"
  "$venv/bin/python" -c "import $imports" >&2
  echo "$pins" > "$venv/.pins"
  say "done: $(du -sh "$venv" | cut -f1) in $venv"
}

add_packages() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$@" >&2; }

say() { echo "$bench: $*" >&2; }
