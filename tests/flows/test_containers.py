"""Container images, run by the machine's engine: from the server's registry and from the engine's own store."""

from __future__ import annotations

import base64
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.contract.folder import container_name
from clary.contract.processes import running
from clary.sandbox.engine import Engine
from flows import container_images, jobs
from flows.own_images import logged, start
from flows.scripts import model
from whole_server import WholeServer, wait_until

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
  echo "answer of $host" | nc -l -p 4000 > /opt/ml/model/$host
else
  until echo "greeting of $host" | nc algo-1 4000 2> /dev/null > /opt/ml/model/$host; do sleep 0.05; done
fi
echo "$host was told: $(cat /opt/ml/model/$host)"
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
PROGRAMS = {"train": TRAIN, "serve": SERVE, "answer": ANSWER, "talk": TALK, "fail": FAIL}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def podman() -> Engine:
    return container_images.working_engine()


@pytest.fixture(scope="module")
def built(podman: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name, in the engine, of an image that is a static busybox with `train` and `serve`."""
    folder = container_images.busybox_image(tmp_path_factory.mktemp("image"), PROGRAMS)
    name = f"localhost/clary-test-{uuid.uuid4().hex[:8]}:1"
    words = ["--ulimit", "nofile=4096:4096", "--format", "oci", "--annotation", "run.oci.keep_original_groups=1"]
    podman.fetch("build", "--quiet", *words, "--tag", name, str(folder))
    yield name
    podman.ask("rmi", "--force", name)


@pytest.fixture(scope="module")
def pushed(server: WholeServer, podman: Engine, built: str) -> str:
    """The same image in a repository of the account, by the URI that ECR gives it."""
    ecr = server.client("ecr")
    name = f"team/{uuid.uuid4().hex[:8]}"
    repository = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    token = base64.b64decode(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]).decode()
    podman.fetch("push", "--quiet", "--tls-verify=false", "--creds", token, built, f"{repository}:1")
    return f"{repository}:1"


def containers(podman: Engine, job: str) -> list[str]:
    listed = podman.ask("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={container_name(job)}")
    return listed.split()


def test_an_image_is_trained_deployed_and_asked(server: WholeServer, podman: Engine, built: str) -> None:
    job = start(server, built)
    done = jobs.ended(server, job)
    lines = logged(server, job)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), lines)
    assert "given by the request, id 0, folder /opt/program" in lines
    assert '{"epochs": "3"}' in lines
    assert "hosts 127.0.0.1 localhost 127.0.0.2 algo-1 " in lines
    assert "more than a loopback" not in lines
    assert any("NoNewPrivs:\t1" in line for line in lines)
    assert containers(podman, job) == []

    jobs.deploy(server, job, image=built)
    answer = server.client("sagemaker-runtime").invoke_endpoint(EndpointName=job, Body=b"and asked")
    assert answer["Body"].read() == b"trainedand asked"
    (name,) = containers(podman, job)
    limit = podman.ask("inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}", name)
    assert limit.split() == [str(8 << 30), "4096"]
    server.client("sagemaker").delete_endpoint(EndpointName=job)
    wait_until(lambda: containers(podman, job) == [], 60)


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ({"ContainerArguments": ["echo", "words"]}, "words"),  # the image has no entry point of its own
        ({"ContainerEntrypoint": ["echo", "entry"]}, "entry"),
        ({"ContainerEntrypoint": ["echo"], "ContainerArguments": ["a b", "c"]}, "a b c"),
    ],
)
def test_the_request_says_what_runs(
    server: WholeServer, built: str, specification: dict[str, Any], expected: str
) -> None:
    job = start(server, built, **specification)
    done = jobs.ended(server, job)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), logged(server, job))
    assert expected in logged(server, job)


def test_why_a_container_failed_is_the_reason(server: WholeServer, built: str) -> None:
    script = "echo 'no such column' > /opt/ml/output/failure; exit 3"
    failed = start(server, built, ContainerEntrypoint=["sh", "-c", script])
    missing = start(server, built, ContainerEntrypoint=["no-such-program"])
    assert jobs.ended(server, failed)["FailureReason"] == "AlgorithmError: no such column, exit code: 3"
    reason = jobs.ended(server, missing)["FailureReason"]
    assert reason.startswith("ClientError: The container could not be started; the last lines of the job's log say why")
    assert 'exec: "no-such-program": executable file not found' in "\n".join(logged(server, missing))


def test_a_stop_is_a_signal_and_the_model_is_kept(server: WholeServer, podman: Engine, built: str) -> None:
    waiting = "trap 'echo stopped > /opt/ml/model/m.txt; exit 0' TERM; echo waiting; while :; do sleep 0.05; done"
    job = start(server, built, ContainerEntrypoint=["sh", "-c", waiting])
    wait_until(lambda: "waiting" in logged(server, job), 60)
    server.client("sagemaker").stop_training_job(TrainingJobName=job)
    done = jobs.ended(server, job)
    assert (done["TrainingJobStatus"], "S3ModelArtifacts" in done["ModelArtifacts"]) == ("Stopped", True)
    assert containers(podman, job) == []


def test_a_container_ends_with_its_agent(server: WholeServer, podman: Engine, built: str) -> None:
    """Which is killed."""
    job = start(server, built, ContainerEntrypoint=["sh", "-c", "echo waiting; exec sleep 600"])
    wait_until(lambda: "waiting" in logged(server, job), 60)
    (pid_file,) = server.settings.run.glob(f"agent-{job}-*.pid")
    agent = running(pid_file)
    assert agent is not None
    first = (server.settings.instances / pid_file.stem.removeprefix("agent-") / "container.pid").read_text()
    (ids,) = [line for line in Path(f"/proc/{first}/status").read_text().splitlines() if line.startswith("Uid:")]
    assert int(ids.split()[1]) >= 1 << 30  # root inside is nobody outside
    os.kill(agent, signal.SIGKILL)
    assert "was lost" in jobs.ended(server, job)["FailureReason"]
    wait_until(lambda: containers(podman, job) == [], 60)


def test_two_hosts_talk_and_leave_one_model(server: WholeServer, podman: Engine, built: str) -> None:
    job = start(server, built, 2, ContainerEntrypoint=["talk"])
    done = jobs.ended(server, job)
    lines = logged(server, job)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), lines)
    assert lines == ["algo-1 was told: greeting of algo-2", "algo-2 was told: answer of algo-1"]
    assert model(server, done) == {"algo-1": b"greeting of algo-2\n", "algo-2": b"answer of algo-1\n"}
    assert containers(podman, job) == []


def test_a_host_that_fails_ends_the_others(server: WholeServer, podman: Engine, built: str) -> None:
    job = start(server, built, 2, ContainerEntrypoint=["fail"])
    done = jobs.ended(server, job)
    assert done["FailureReason"] == "AlgorithmError: it was me, exit code: 3", logged(server, job)
    assert "told to stop" in logged(server, job)
    assert containers(podman, job) == []


def test_an_image_of_the_accounts_repository_runs_by_each_of_its_names(
    server: WholeServer, podman: Engine, pushed: str
) -> None:
    repository = pushed.partition("/")[2]
    aws = f"{server.settings.account}.dkr.ecr.{server.settings.region}.amazonaws.com/{repository}"
    for uri in (pushed, aws):
        job = start(server, uri)
        done = jobs.ended(server, job)
        assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), logged(server, job))
    theirs = aws.replace(server.settings.account, "111122223333")
    with pytest.raises(ClientError, match="is not known to Clary"):
        start(server, theirs)
    kept = podman.ask("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=localhost/clary/*/*/*/*")
    (name,) = [each for each in kept.split() if repository.partition(":")[0] in each]
    with pytest.raises(ClientError, match="is not known to Clary"):
        start(server, name)
    told_the_runtime = podman.ask("image", "inspect", "--format", "{{.Annotations}}", name)
    assert told_the_runtime.strip() == "map[]"
    podman.ask("rmi", "--force", name)
