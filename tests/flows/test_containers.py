"""Container images, run by the machine's engine: from the server's registry and from the engine's own store."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.sandbox.engine import Engine
from flows import jobs
from flows.own_images import containers, logged, start
from flows.scripts import model
from whole_server import WholeServer, wait_until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def annotated(podman: Engine, built: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One like it, by which its runtime is told to do less."""
    folder = tmp_path_factory.mktemp("annotated")
    (folder / "Containerfile").write_text(f"FROM {built}\nLABEL one={uuid.uuid4()}\n")
    name = f"{built}-annotated-{uuid.uuid4().hex[:8]}"
    words = ["--format", "oci", "--annotation", "run.oci.keep_original_groups=1", "--tag", name]
    podman.fetch("build", "--quiet", *words, str(folder))
    yield name
    podman.ask("rmi", "--force", name)


@pytest.fixture
def pushed(server: WholeServer, podman: Engine, annotated: str) -> str:
    """That image in a repository of the account, by the URI that ECR gives it."""
    ecr = server.client("ecr")
    name = f"team/{uuid.uuid4().hex[:8]}"
    repository = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    token = base64.b64decode(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]).decode()
    podman.fetch("push", "--quiet", "--tls-verify=false", "--creds", token, annotated, f"{repository}:1")
    return f"{repository}:1"


def test_an_image_is_trained_deployed_and_asked(server: WholeServer, podman: Engine, built: str) -> None:
    job = start(server, built)
    done = jobs.ended(server, job)
    lines = logged(server, job)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), lines)
    assert "given by the request, id 0, folder /opt/program" in lines
    assert '{"epochs": "3"}' in lines
    assert "code of the image" in lines
    assert "hosts 127.0.0.1 localhost 127.0.0.2 algo-1 " in lines
    assert "more than a loopback" not in lines
    assert any("NoNewPrivs:\t1" in line for line in lines)
    wait_until(lambda: containers(podman, job) == [], 60)

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
    wait_until(lambda: containers(podman, job) == [], 60)


def test_two_hosts_talk_and_leave_one_model(server: WholeServer, podman: Engine, built: str) -> None:
    job = start(server, built, 2, ContainerEntrypoint=["talk"])
    done = jobs.ended(server, job)
    lines = logged(server, job)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), lines)
    assert lines == ["algo-1 was told: greeting of algo-2", "algo-2 was told: answer of algo-1"]
    assert model(server, done) == {"algo-1": b"greeting of algo-2\n", "algo-2": b"answer of algo-1\n"}
    wait_until(lambda: containers(podman, job) == [], 60)


def test_a_host_that_fails_ends_the_others(server: WholeServer, podman: Engine, built: str) -> None:
    job = start(server, built, 2, ContainerEntrypoint=["fail"])
    done = jobs.ended(server, job)
    assert done["FailureReason"] == "AlgorithmError: it was me, exit code: 3", logged(server, job)
    assert "told to stop" in logged(server, job)
    wait_until(lambda: containers(podman, job) == [], 60)


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
    kept = podman.ask(
        "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=localhost/clary/*/*/*/*/*"
    )
    (name,) = [each for each in kept.split() if repository.partition(":")[0] in each]
    with pytest.raises(ClientError, match="is not known to Clary"):
        start(server, name)
    told_the_runtime = podman.ask("image", "inspect", "--format", "{{.Annotations}}", name)
    assert told_the_runtime.strip() == "map[]"
    podman.ask("rmi", "--force", name)


def test_an_image_that_instructs_its_runtime_is_refused(server: WholeServer, annotated: str) -> None:
    with pytest.raises(ClientError, match=r"has the annotation run\.oci\.keep_original_groups"):
        start(server, annotated)


def test_the_environment_is_told_whole_and_to_the_container_alone(server: WholeServer, built: str) -> None:
    secret = uuid.uuid4().hex
    given = {"LINES": f"{secret}\nand more", "RETURNS": "text\r", "EMPTY": "", "WORDS": " a  b ", "LONG": "x" * 512}
    shown = 'printf "%s|" "$LINES" "$RETURNS" "$EMPTY" "$WORDS" | od -An -v -tx1; echo ${#LONG}'
    wait = "echo waiting; until [ -e /opt/ml/output/go ]; do sleep 0.05; done"
    job = start(server, built, environment=given, ContainerEntrypoint=["sh", "-c", f"{shown}; {wait}"])
    wait_until(lambda: "waiting" in logged(server, job), 60)
    told = [each for each in Path("/proc").glob("[0-9]*/cmdline") if secret.encode() in _read(each)]
    assert told == []
    (folder,) = server.settings.instances.glob(f"{job}-*")
    (folder / "ml/output/go").touch()
    assert jobs.ended(server, job)["TrainingJobStatus"] == "Completed"
    *numbers, length, _ = logged(server, job)
    text = bytes.fromhex("".join(numbers)).decode()
    assert text == "".join(f"{given[name]}|" for name in ("LINES", "RETURNS", "EMPTY", "WORDS"))
    assert length == "512"


def _read(file: Path) -> bytes:
    """Nothing of a process that has ended."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_an_isolated_container_reaches_nobody_and_is_nobody(server: WholeServer, built: str) -> None:
    asked = [("server", f"127.0.0.1 {server.port}"), ("role", "169.254.170.2 80")]
    ask = "; ".join(f"nc -w 5 {address} < /dev/null 2> /dev/null && echo {name}" for name, address in asked)
    told = "env | cut -d= -f1 | grep -E 'CREDENTIALS|ENDPOINT_URL|TOKEN|SECRET|PROXY'"
    found = {}
    for isolated in (False, True):
        job = start(server, built, isolated=isolated, ContainerEntrypoint=["sh", "-c", f"{ask}; {told}; echo asked"])
        done = jobs.ended(server, job)
        assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), logged(server, job))
        found[isolated] = logged(server, job)
    assert found[False][:2] == ["server", "role"]
    assert any(each.startswith("AWS_CONTAINER_CREDENTIALS") for each in found[False])
    assert found[True] == ["asked"]
