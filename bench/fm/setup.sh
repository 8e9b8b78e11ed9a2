#!/bin/sh
# Sets up the Python libraries that bench:fm is held against (bench/python-environment.sh says how, and what it prints). fastFM has no
# wheel and is built from its sources: a C compiler must be beside the Python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../python-environment.sh"
finish() { add_packages --no-build-isolation fastFM==0.2.10; }
set_up bench:fm fm-venv 'fastFM.als, lightgbm, myfm, shapiq' '' "$here/requirements.txt"
