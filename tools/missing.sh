#!/bin/sh
# missing.sh COMMAND...: names the ones that are not installed, and how Debian and Ubuntu install them. Never fails.
missing=
for command; do
  command -v "$command" >/dev/null 2>&1 || missing="$missing $command"
done
[ -z "$missing" ] || echo "not installed:$missing (Debian and Ubuntu: apt-get install$missing)" >&2
