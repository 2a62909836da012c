#!/bin/sh
# environment.sh NAME LOCK [REQUIREMENT...]: makes the virtual environment .venvs/NAME from a lock file with hashes, once
# for each content of it; further REQUIREMENTs (this project: -e .) are installed without their dependencies.
# Uses uv when it can be found or installed, else venv and pip. PYTHON names the interpreter (default python3).
set -eu
name=$1 lock=$2
shift 2
python=${PYTHON:-python3}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
place=.venvs/$name
mark=$place/.made-$(cat "$lock" pyproject.toml | cksum | tr ' ' -)
[ -f "$mark" ] && exit 0
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Clary needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Name another one: make PYTHON=python3.12" >&2
  exit 1
}
unset PYTHONDONTWRITEBYTECODE
begin=$(date +%s)
echo "--- making the environment $place from $lock" >&2
uv=$(command -v uv || true)
if [ -z "$uv" ] && [ -x .venvs/uv/bin/uv ]; then uv=.venvs/uv/bin/uv; fi
if [ -z "$uv" ] && [ -z "${CLARY_NO_UV:-}" ]; then
  "$python" -m venv .venvs/uv && .venvs/uv/bin/pip -q --disable-pip-version-check install uv >/dev/null 2>&1 && uv=.venvs/uv/bin/uv
fi
rm -f "$place"/.made-*
if [ -n "$uv" ] && [ -z "${CLARY_NO_UV:-}" ]; then
  "$uv" venv -q --allow-existing --python "$python" "$place"
  "$uv" pip install -q --python "$place/bin/python" --require-hashes -r "$lock"
  [ $# -eq 0 ] || "$uv" pip install -q --python "$place/bin/python" --no-deps --no-build-isolation "$@"
else
  echo "    without uv: pip takes a minute or more" >&2
  "$python" -m venv "$place"
  "$place/bin/pip" -q --disable-pip-version-check install --require-hashes -r "$lock"
  [ $# -eq 0 ] || "$place/bin/pip" -q --disable-pip-version-check install --no-deps --no-build-isolation "$@"
fi
: >"$mark"
echo "    $(($(date +%s) - begin)) s" >&2
