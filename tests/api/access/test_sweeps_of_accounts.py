"""Every operation that is built, asked by another account for what the first one has: it is told the same as of what
is nowhere, and gets nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.credentials import Credentials

from api.test_sweeps import THERE, Raw, built, furnished, make, operations
from clary.services import tables
from whole_server import WholeServer
from wire.generate import Values

__all__ = ["furnished"]

FIRST, SECOND = "123456789012", "210987654321"
ROUNDS = 5
_WORDS = re.compile(r"<(Code|Message)>(.*?)</\1>", re.DOTALL)
_NEW = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,}|\d{4}-\d\d-\d\dT[\d:.]+Z|\d{8}T\d{6}Z")  # ids and times


@pytest.fixture(scope="module")
def other(furnished: WholeServer, tmp_path_factory: pytest.TempPathFactory) -> Raw:
    """The root of a second account, which has nothing."""
    wanted = tmp_path_factory.mktemp("accounts") / "accounts.json"
    wanted.write_text(json.dumps({"accounts": [{"id": SECOND}]}))
    furnished.ask("accounts", "apply", str(wanted))
    made = furnished.ask("accounts", "ls", "--keys")["accounts"]
    key = next(each for each in made if each["account"] == SECOND)
    raw = Raw(furnished, signed=True)
    raw.keys = Credentials(key["access_key"], key["secret_key"])
    return raw


def arn(service: str, resource: str, region: str = "us-east-1") -> str:
    return f"arn:aws:{service}:{region}:{FIRST}:{resource}"


@pytest.fixture(scope="module")
def theirs(furnished: WholeServer) -> dict[str, str]:
    """By member: what the first account has, as somebody abroad can name it."""
    kms, sns = furnished.client("kms"), furnished.client("sns")
    make(sns.create_topic, Name="sweep")
    role = arn("iam", "role/sweep", "")
    return {
        **THERE,
        "KeyId": kms.describe_key(KeyId="alias/sweep")["KeyMetadata"]["Arn"],
        "RoleArn": role,
        "ExecutionRoleArn": role,
        "TopicArn": arn("sns", "sweep"),
        "TargetArn": arn("sns", "sweep"),
        "logGroupIdentifier": arn("logs", "log-group:sweep"),
        "resourceArn": arn("logs", "log-group:sweep"),
        "ResourceArn": arn("sagemaker", "model/sweep"),
        "PolicySourceArn": role,
        "CopySource": "sweep/there",
    }


def absent(text: str) -> str:
    """The same, of what is nowhere."""
    return re.sub(r"[0-9a-f]{8}(?=-[0-9a-f]{4}-)", "00000000", text.replace("sweep", "swoop"))


def named(value: Any, names: dict[str, str]) -> Any:
    """A request whose members name these, wherever they stand."""
    if isinstance(value, dict):
        return {
            key: names.get(key, each) if isinstance(each, str) else named(each, names) for key, each in value.items()
        }
    return [named(each, names) for each in value] if isinstance(value, list) else value


def told(status: int, body: bytes) -> tuple[int, str]:
    """What an answer tells: all of a refusal's words, of others that they are none."""
    if status < 400:
        return status, ""
    text = body.decode(errors="replace")
    words = " ".join(found[1] for found in _WORDS.findall(text)) or re.sub(r'"RequestId":"[^"]*"', "", text)
    return status, _NEW.sub("…", absent(words))


def asked(raw: Raw, service: str, theirs: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    """(operation, round, what is told of theirs, what of nobody's), for each request that names something of theirs."""
    nobodys = {member: absent(name) for member, name in theirs.items()}
    for operation in operations(service):
        if not built(operation) or operation.input_shape is None:
            continue
        for seed in range(ROUNDS):
            given = Values(seed).of(operation.input_shape)
            here, nowhere = named(given, theirs), named(given, nobodys)
            if here != nowhere:
                first = told(*raw.send(operation, here))
                yield operation.name, seed, first, told(*raw.send(operation, nowhere))


@pytest.mark.parametrize("service", [each for each in tables.OPERATIONS if each not in ("s3", "s3control")])
def test_what_another_account_has_is_as_what_is_nowhere(other: Raw, theirs: dict[str, str], service: str) -> None:
    found = list(asked(other, service, theirs))
    assert found and [each for each in found if each[2] != each[3]] == []


def test_of_s3_only_names_of_buckets_are_shared(other: Raw, theirs: dict[str, str]) -> None:
    """That a bucket is there is no secret; nothing else of it is told, and nothing done."""
    found = list(asked(other, "s3", theirs))
    assert found
    assert [each for each in found if each[2][0] < 400 or (each[2][0] >= 500 and each[2][0] != 501)] == []
