"""`clary accounts`, while a server runs and while none does."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from whole_server import WholeServer

FILE = """
[[accounts]]
id = "222222222222"
name = "second"

[[accounts.users]]
name = "alice"
policies = ["arn:aws:iam::aws:policy/IAMReadOnlyAccess"]
"""


@pytest.fixture
def server(tmp_path: Path) -> WholeServer:
    return WholeServer(tmp_path / "home")


def caller(server: WholeServer, key: dict[str, str]) -> str:
    sts = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=key["access_key"],
        aws_secret_access_key=key["secret_key"],
    )
    arn: str = sts.get_caller_identity()["Arn"]
    return arn


def test_accounts_of_a_file(server: WholeServer, tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(FILE)
    first = server.ask("accounts", "apply", str(file))
    alice = first["drawn"][0]
    assert (first["applied"], alice["account"], alice["user"]) == (1, "222222222222", "alice")
    found = server.ask("accounts", "ls", "--keys")["accounts"]
    assert [(each["account"], each["name"], each["users"]) for each in found] == [
        ("123456789012", "", 0),
        ("222222222222", "second", 1),
    ]
    server.up()
    try:
        assert caller(server, alice) == "arn:aws:iam::222222222222:user/alice"
        assert caller(server, found[1]) == "arn:aws:iam::222222222222:root"
        assert server.ask("accounts", "apply", str(file))["drawn"] == []
        assert server.ask("accounts", "ls", "--keys")["accounts"] == found
        assert "secret_key" not in server.ask("accounts", "ls")["accounts"][0]
        key = {"access_key_id": "AKIASECONDSECONDSEC2", "secret_access_key": "another-secret-of-it"}
        (tmp_path / "second.json").write_text(json.dumps({"accounts": [{"id": "222222222222", **key}]}))
        server.ask("accounts", "apply", str(tmp_path / "second.json"))
        with pytest.raises(ClientError, match="InvalidClientTokenId"):  # the old root key, from this moment on
            caller(server, found[1])
        third = {"accounts": [{"id": "333333333333", "users": [{"name": "bob"}]}]}
        (tmp_path / "third.json").write_text(json.dumps(third))
        told = server.clary("accounts", "apply", str(tmp_path / "third.json"))
        assert told.stdout.startswith("1 account(s) are as ") and "333333333333  bob  AKIA" in told.stdout
    finally:
        server.down()


def test_a_wrong_file(server: WholeServer, tmp_path: Path) -> None:
    for name, text, words in (
        ("a.toml", "accounts = 1", "Nothing was changed: the file has to be a list named accounts."),
        ("b.toml", "[", "is not TOML"),
        ("c.json", "[]", "a list named accounts was expected"),
    ):
        (tmp_path / name).write_text(text)
        done = server.clary("accounts", "apply", str(tmp_path / name))
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert "cannot be read" in server.clary("accounts", "apply", str(tmp_path / "none.toml")).stderr
