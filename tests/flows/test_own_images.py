"""Images of one's own: folders whose programs stand for them, by the container contract."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from flows import jobs
from flows.own_images import logged, start
from whole_server import ROOT, WholeServer, wait_until

EXAMPLE = ROOT / "examples" / "own_image"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/contract:1"
OTHER = "111122223333"
# What a job tells of itself, as the last line of its log.
TELLING = """
import json, os, signal, sys
from pathlib import Path
base = Path("/opt/ml")
hyperparameters = json.loads((base / "input/config/hyperparameters.json").read_text())
def tell(**facts):
    print(json.dumps(facts), flush=True)
def fails(action):
    try:
        action()
    except OSError as error:
        return error.strerror
tell(arguments=sys.argv[1:], folder=os.getcwd(), job=os.environ["TRAINING_JOB_NAME"], given=os.environ.get("GIVEN"),
     ours=[name for name in os.environ if name.startswith(("SM_", "CLARY_"))],
     written=fails(lambda: Path("new").touch()), beside=Path("beside.txt").read_text())
(base / "model/m.txt").write_text("model")
"""
WAITING = """#!/bin/sh
trap 'echo stopped > /opt/ml/model/m.txt; exit 0' TERM
echo waiting
while :; do sleep 0.05; done
"""
FAILING = "#!/bin/sh\necho 'no such column' > /opt/ml/output/failure\nexit 3\n"

pytestmark = pytest.mark.timeout(300)  # the first job may have to build an environment


@pytest.fixture(scope="module")
def registered(server: WholeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image that tells what the contract gave it."""
    folder = programs(tmp_path_factory.mktemp("programs"), {"train.py": TELLING, "beside.txt": "beside"})
    for name, text in {"waiting": WAITING, "failing": FAILING}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    server.ask("images", "register", IMAGE, str(folder))
    yield IMAGE
    server.ask("images", "rm", IMAGE)


def programs(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def told(server: WholeServer, job: str) -> dict[str, Any]:
    """What the program told in a job that completes."""
    done = jobs.ended(server, job)
    lines = logged(server, job)
    assert done["TrainingJobStatus"] == "Completed", (done.get("FailureReason"), lines)
    facts: dict[str, Any] = json.loads(lines[-1])
    return facts


def test_the_example(server: WholeServer) -> None:
    """Trains, deploys, predicts."""
    image = "my-team/trees:1"
    server.ask("images", "register", image, str(EXAMPLE / "program"))
    done = server.run_client("dev", "python", str(EXAMPLE / "story.py"), image, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Completed {'leaves': 20.0}" in done.stdout
    right = next(line for line in done.stdout.splitlines() if line.endswith("are right"))
    assert int(right.split()[0]) > 450


def test_a_program_finds_what_the_contract_names(server: WholeServer, registered: str) -> None:
    job = start(server, registered)
    facts = told(server, job)
    assert facts["arguments"] == []
    assert (facts["job"], facts["given"], facts["beside"]) == (job, "by the request", "beside")
    assert facts["ours"] == []
    if facts["folder"] == "/opt/program":  # where jobs are isolated
        assert facts["written"] == "Read-only file system"


@pytest.mark.parametrize(
    ("specification", "arguments"),
    [
        ({"ContainerArguments": ["--depth", "3"]}, ["--depth", "3"]),
        ({"ContainerEntrypoint": ["python", "train.py"]}, []),
        ({"ContainerEntrypoint": ["python", "train.py"], "ContainerArguments": ["a b"]}, ["a b"]),
    ],
)
def test_the_request_says_what_runs(
    server: WholeServer, registered: str, specification: dict[str, Any], arguments: Sequence[str]
) -> None:
    assert told(server, start(server, registered, **specification))["arguments"] == arguments


def test_what_a_program_says_of_its_failure_is_the_reason(server: WholeServer, registered: str) -> None:
    done = jobs.ended(server, start(server, registered, ContainerEntrypoint=["failing"]))
    assert done["FailureReason"] == "AlgorithmError: no such column, exit code: 3"
    done = jobs.ended(server, start(server, registered, ContainerEntrypoint=["missing"]))
    assert "The entry point missing of this job cannot be run: No such file or directory" in done["FailureReason"]


def test_a_stop_is_a_signal_to_the_program_itself(server: WholeServer, registered: str) -> None:
    job = start(server, registered, ContainerEntrypoint=["waiting"])
    wait_until(lambda: jobs.describe(server, job)["SecondaryStatus"] == "Training", 60)
    wait_until(lambda: "waiting" in logged(server, job), 60)
    server.client("sagemaker").stop_training_job(TrainingJobName=job)
    done = jobs.ended(server, job)
    assert (done["TrainingJobStatus"], "S3ModelArtifacts" in done["ModelArtifacts"]) == ("Stopped", True)


def test_an_image_is_its_accounts_own(server: WholeServer, registered: str, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="clary images register"):
        start(server, "team/unheard-of:1")
    folder = programs(tmp_path, {"train.py": "print('theirs')"})
    server.ask("images", "register", "team/theirs:1", str(folder), "--account", OTHER)
    with pytest.raises(ClientError, match="is not known to Clary"):
        start(server, "team/theirs:1")
    listed = [(each["account"], each["uri"]) for each in server.ask("images", "ls")["registered"]]
    assert (OTHER, "team/theirs:1") in listed
    assert ("123456789012", registered) in listed
    server.ask("images", "rm", "team/theirs:1", "--account", OTHER)


def test_a_folder_without_the_program_is_the_clients_error(server: WholeServer, tmp_path: Path) -> None:
    server.ask("images", "register", "team/serving-only:1", str(programs(tmp_path, {"serve": "pass"})))
    done = jobs.ended(server, start(server, "team/serving-only:1"))
    assert done["FailureReason"].startswith("ClientError: The folder that stands for image team/serving-only:1 has no")
