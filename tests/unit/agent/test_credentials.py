"""The container credential endpoint: what a job inside gets of it, and who does not."""

from __future__ import annotations

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_world import FULL, RELATIVE, TELLING, TOKEN, World, world
from clary.contract.instance import Credentials, InstanceSpec
from clary.contract.link import Holder
from clary.errors import ServiceError
from whole_server import wait_until

ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture(scope="module", params=["namespaces", "plain"])
def there(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(request.param) as made:
        yield made


def test_botocore_finds_the_roles_session(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import botocore.session
found = botocore.session.Session().get_credentials()
frozen = list(found.get_frozen_credentials())[:3]
texts = [*os.environ.values()]
for folder, _, names in os.walk(layout.base):
    for name in names:
        if name != "hyperparameters.json":
            texts.append(open(os.path.join(folder, name), errors="replace").read())
leaked = [text for text in texts for each in frozen if each in text]
tell([found.method, frozen, leaked, list(ask()[1])])
"""
    secret = "a-secret-that-is-nowhere-else"
    monkeypatch.setattr(there, "sessions", lambda *_: Credentials("AKIAOFTHISJOB", secret, f"token-of-{secret}", 2e9))
    method, frozen, leaked, members = there.told(program)
    assert method == "container-role"
    assert frozen == ["AKIAOFTHISJOB", secret, f"token-of-{secret}"]
    assert leaked == []
    assert members == ["RoleArn", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]


def test_a_job_acts_with_it(there: World) -> None:
    """It is told where its server is, unless it was told another place."""
    there.s3.buckets["in"] = {"k": b"of the role"}
    program = """
import boto3
tell(boto3.client("s3").get_object(Bucket="in", Key="k")["Body"].read().decode())
"""
    assert there.told(program) == "of the role"
    assert (
        there.told("tell(os.environ['AWS_ENDPOINT_URL'])", environment={"AWS_ENDPOINT_URL": "http://own"})
        == "http://own"
    )


def test_only_the_right_question_is_answered(there: World) -> None:
    status, whole = there.told("tell(ask())")
    assert (status, whole["RoleArn"]) == (200, ROLE)
    program = """
full = urllib.parse.urlsplit(os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.2:80"))
def raw(data):
    with socket.create_connection((full.hostname, full.port), 10) as connection:
        try:
            connection.sendall(data)
            return connection.makefile("rb").readline().decode()
        except ConnectionError:
            return ""
silent = [socket.create_connection((full.hostname, full.port)) for _ in range(2)]
began = time.monotonic()
tell([ask("/v2/credentials/")[0], ask("/")[0], ask(method="PUT")[0], raw(b"no request\\r\\n\\r\\n"),
      raw(b"GET / HTTP/1.1\\r\\n" + b"x: y\\r\\n" * 5000), ask()[0], time.monotonic() - began < 8])
"""
    assert there.told(program) == [404, 404, 404, "", "", 200, True]


def test_a_server_that_is_no_proxy_is_not_named_as_one(there: World) -> None:
    """One that others reach too is none to those who do not come by its loopback, as plain processes then do not."""
    told = "tell(sorted(name for name in os.environ if 'PROXY' in name or 'ENDPOINT' in name))"
    pointed = ["AWS_ENDPOINT_URL", "S3_ENDPOINT_URL"]
    proxied = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3_CONTROL", "HTTPS_PROXY", "NO_PROXY", "S3_ENDPOINT_URL"]
    assert there.told(told) == proxied
    expected = pointed if there.settings.isolation == "plain" else proxied
    assert there.told(told, server="http://192.0.2.1:7467") == expected


def test_it_is_not_the_agents_own(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        there, "sessions", lambda _, holder: Credentials(f"AKIA-{holder}", "s", "t", time.time() + 3600)
    )
    assert there.told("tell(ask()[1]['AccessKeyId'])") == "AKIA-job"


def test_it_is_renewed_in_time(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before SDKs think that it ends: they ask anew a quarter of an hour before that."""
    program = """
first, until = ask()[1], time.monotonic() + 20
while (now := ask()[1])["AccessKeyId"] == first["AccessKeyId"] and time.monotonic() < until:
    pass
tell(now["AccessKeyId"] != first["AccessKeyId"])
"""
    numbers = itertools.count()
    ending = time.time() + 1000
    monkeypatch.setattr(there, "sessions", lambda *_: Credentials(f"AKIA{next(numbers)}", "secret", "token", ending))
    assert there.told(program) is True


def test_a_role_that_gives_none_is_told_why(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_spec: InstanceSpec, _holder: Holder) -> Credentials:
        raise ServiceError("ValidationException", "nobody may assume it")

    monkeypatch.setattr(there, "sessions", refuse)
    spec = there.spec(TELLING + "tell(ask())")
    record = there.run(spec).exit
    assert record is not None and "Could not assume role" in record.failure
    answer = json.loads(next(line for line in there.lines(spec.id) if line.startswith("told "))[5:])
    assert answer[0] == 403 and "Could not assume role" in answer[1]["message"]


def test_an_isolated_job_has_none(there: World) -> None:
    if there.settings.isolation == "plain":
        record = there.run(there.spec(network_isolation=True)).exit
        assert record is not None and "this machine cannot isolate" in record.failure
        return
    program = """
try:
    socket.create_connection(("169.254.170.2", 80), 2)
except OSError as error:
    tell([[name for name in os.environ if "CREDENTIALS" in name], type(error).__name__])
"""
    names, error = there.told(program, network_isolation=True)
    assert names == [] and error == "OSError"


def test_another_job_does_not_reach_it(there: World) -> None:
    """It has its own at that address; where all share one loopback, the token of the other is still unknown to it."""
    waiting = "tell(dict(os.environ)); import signal; signal.pause()"
    spec = there.spec(TELLING + waiting, stop_grace=0.5)
    there.compute.launch(spec)
    line = next(each for each in there.wait_line(spec.id, "told ") if each.startswith("told "))
    environment = json.loads(line[5:])
    if FULL in environment:
        status, _ = there.told(f"os.environ[{FULL!r}] = {environment[FULL]!r}; tell(ask())")
        assert status == 403
        request = urllib.request.Request(environment[FULL], headers={"Authorization": environment[TOKEN]})
        assert json.load(urllib.request.urlopen(request))["RoleArn"] == ROLE
    else:
        assert there.told(f"tell(ask({environment[RELATIVE]!r}))")[0] == 404
    there.compute.stop(spec.id)
    there.wait(spec.id, lambda seen: seen.state == "exited")
    if FULL in environment:
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(request)


def test_model_servers_have_it_too(there: World) -> None:
    program = f"exec({TELLING + 'tell(ask())'!r}, globals())"
    spec = there.spec(purpose="serving", environment={"MODEL_PROGRAM": program})
    there.compute.launch(spec)
    line = next(each for each in there.wait_line(spec.id, "told ") if each.startswith("told "))
    assert json.loads(line[5:])[0] == 200
    there.compute.stop(spec.id)
    there.wait(spec.id, lambda seen: seen.state == "exited")


def test_nothing_listens_for_a_job_that_never_began(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its agent stays until somebody takes its last word."""

    def fail(*_: object) -> None:
        raise OSError("not now")

    monkeypatch.setattr(there.link.intake, "take", fail)
    spec = there.spec(channels=(there.channel("train", "s3://of-nobody/x"),))
    there.compute.launch(spec)
    left = there.settings.instances / spec.id / "exit.json"
    wait_until(left.exists)
    agent = there.agent_pid(spec.id)
    assert agent is not None and listening(agent) == set()
    monkeypatch.undo()
    record = there.wait(spec.id, lambda seen: seen.state == "exited").exit
    assert record is not None and "NoSuchBucket" in record.failure


def listening(process: int) -> set[str]:
    """The inodes of the process's sockets that listen for TCP."""
    sockets = {str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir()}
    rows = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}
