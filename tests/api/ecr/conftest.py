"""The whole server's ECR, and its registry for whoever has a token of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config

from api.access.people import client
from api.ecr.registry import Registry
from whole_server import WholeServer

OTHER = "333333333333"


def token_of(ecr: Any) -> str:
    return str(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"])


@pytest.fixture(scope="module")
def ecr(server: WholeServer) -> Any:
    return server.client("ecr", config=Config(parameter_validation=False))


@pytest.fixture(scope="module")
def registry(server: WholeServer, ecr: Any) -> Registry:
    """The root's."""
    return Registry(server.port, token_of(ecr))


@pytest.fixture
def repository(ecr: Any) -> Iterator[str]:
    """A new one."""
    name = f"team/app-{uuid.uuid4().hex[:12]}"
    ecr.create_repository(repositoryName=name)
    yield name
    ecr.delete_repository(repositoryName=name, force=True)


@pytest.fixture(scope="module")
def other(server: WholeServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """ECR for the root of another account."""
    file = tmp_path_factory.mktemp("accounts") / "accounts.json"
    file.write_text(json.dumps({"accounts": [{"id": OTHER}]}))
    server.ask("accounts", "apply", str(file))
    key = next(each for each in server.ask("accounts", "ls", "--keys")["accounts"] if each["account"] == OTHER)
    return client(server, "ecr", (key["access_key"], key["secret_key"]))
