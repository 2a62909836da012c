#!/bin/sh
# containers.sh: installs what the tests of container images need and this machine lacks, where there is apt-get and this is
# root. For machines of continuous integration. Never fails: without it those tests are skipped, and say why.
set -u
packages=
for command in podman runc skopeo; do
  command -v "$command" >/dev/null 2>&1 || packages="$packages $command"
done
busybox=$(command -v busybox) || busybox=
if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then packages="$packages busybox-static"; fi
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "tests of container images will be skipped: they need root and$packages" >&2
  exit 0
fi
echo "installing$packages, for the tests of container images" >&2
log=$(mktemp)
# shellcheck disable=SC2086  # several packages
if ! (apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $packages) \
  >"$log" 2>&1 </dev/null; then
  echo "they could not be installed; tests of container images will be skipped:" >&2
  tail -n 3 "$log" >&2
fi
rm -f "$log"
