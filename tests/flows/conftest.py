"""The machine's container engine, and an image in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from clary.sandbox.engine import Engine
from flows import container_images

ANSWER = """#!/bin/sh
read -r method path rest
while read -r line && [ "${#line}" -gt 1 ]; do
  case "$line" in [Cc]ontent-[Ll]ength:*) length=$(echo "${line#*:}" | tr -d ' \\r') ;; esac
done
body=$(cat /opt/ml/model/m.txt)
[ "$path" = /ping ] && body= || given=$(head -c "${length:-0}")
text="$body$given"
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: %s\\r\\nConnection: close\\r\\n\\r\\n%s' ${#text} "$text"
"""
TRAIN = """#!/bin/sh
echo "given $GIVEN, id $(id -u), folder $(pwd)"
echo "code $(cat /opt/ml/code/own)"
echo "hosts $(cat /etc/hosts | tr '\\n' ' ')" >&2
cat /opt/ml/input/config/hyperparameters.json
echo
ip -o addr | grep -v ' lo ' && echo "more than a loopback"
touch /in-the-image && echo trained > /opt/ml/model/m.txt
echo "caps $(grep CapEff /proc/self/status) $(grep NoNewPrivs /proc/self/status)"
"""
SERVE = """#!/bin/sh
trap exit TERM  # the first process of a pid namespace gets no signal that it does not ask for
nc -ll -p 8080 -e /opt/program/answer &
wait
"""
TALK = """#!/bin/sh
host=$(hostname)
grep -q "\\"current_host\\": \\"$host\\"" /opt/ml/input/config/resourceconfig.json || exit 1
if [ $host = algo-1 ]; then
  nc -l -p 4000 -e /opt/program/reply
else
  until echo "greeting of $host" | nc algo-1 4000 2> /dev/null > /opt/ml/model/$host; do sleep 0.05; done
fi
echo "$host was told: $(cat /opt/ml/model/$host)"
"""
REPLY = """#!/bin/sh
read -r greeting
echo "$greeting" > /opt/ml/model/algo-1
echo "answer of algo-1"
"""
FAIL = """#!/bin/sh
if [ $(hostname) = algo-2 ]; then
  until nc algo-1 4000 2> /dev/null; do sleep 0.05; done
  echo 'it was me' > /opt/ml/output/failure
  exit 3
fi
trap 'echo told to stop; exit 0' TERM
echo | nc -l -p 4000
while :; do sleep 0.05; done
"""
PROGRAMS = {"train": TRAIN, "serve": SERVE, "answer": ANSWER, "talk": TALK, "reply": REPLY, "fail": FAIL}


@pytest.fixture(scope="session")
def podman() -> Engine:
    return container_images.working_engine()


@pytest.fixture(scope="session")
def built(podman: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name, in the engine, of an image that is a static busybox with `train` and `serve`."""
    folder = container_images.busybox_image(tmp_path_factory.mktemp("image"), PROGRAMS)
    with (folder / "Dockerfile").open("a") as file:
        file.write("RUN mkdir -p /opt/ml/code && echo of the image > /opt/ml/code/own\nVOLUME /opt/ml/model\n")
    name = f"localhost/clary-test-{uuid.uuid4().hex[:8]}:1"
    podman.fetch("build", "--quiet", "--ulimit", "nofile=4096:4096", "--tag", name, str(folder))
    yield name
    podman.ask("rmi", "--force", name)
