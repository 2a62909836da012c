#!/bin/sh
# demo.sh [FOLDER]: a server on a free port with a throw-away home, the census story on it, and nothing left behind.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
data=${1:-}
[ -z "$data" ] || data=$(CDPATH='' cd -- "$data" && pwd)
cd "$root"
home=$(mktemp -d "${TMPDIR:-/tmp}/clary-demo.XXXXXX")
clary=.venvs/clary/bin/clary
finish() {
  code=$?
  trap '' INT TERM
  "$clary" down --home "$home" >/dev/null 2>&1 || true
  rm -rf "$home"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

"$clary" doctor --brief || true
"$clary" up --home "$home" --port 0 --detach | sed 1q
mkdir -p demo-output
printf 'SchemaVersion: "1.0"\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n' >"$home/sdk.yaml"
export SAGEMAKER_USER_CONFIG_OVERRIDE="$home/sdk.yaml" # the SDK's usage reports need the internet
export SAGEMAKER_SUPPRESS_V2_WARNING=1 PYTHONUNBUFFERED=1 MPLCONFIGDIR="$home"
"$clary" run --home "$home" .venvs/sdk2/bin/python -W ignore examples/census/story.py \
  --output demo-output ${data:+--data "$data"}
cat <<TEXT

Next:
  .venvs/clary/bin/clary up                    a server of your own; it says how to point clients at it
  make demo DATA=FOLDER                        the same story on the census data (a folder with adult.data)
  docs/guide/first-hour.md                     from here to your own data
TEXT
