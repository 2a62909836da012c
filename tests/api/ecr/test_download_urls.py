"""Addresses of layers: whoever has one reads that layer for an hour, and nothing else."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

from api.access.people import Person, allow, refusal
from api.ecr.registry import Registry, digest
from clary.secrets import RootKey
from clary.services.ecr import tokens
from whole_server import WholeServer

LAYER = b"a layer " * 1000


@pytest.fixture
def address(ecr: Any, registry: Registry, repository: str) -> str:
    registry.push(repository, "v1", LAYER)
    given = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest(LAYER))
    assert given["layerDigest"] == digest(LAYER)
    return str(given["downloadUrl"])


@pytest.fixture
def anybody(server: WholeServer) -> Registry:
    """Who has no token."""
    return Registry(server.port)


def target(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def test_the_address_is_enough(server: WholeServer, anybody: Registry, address: str) -> None:
    assert address.startswith(f"{server.url}/v2/")
    assert anybody.ask("GET", target(address)).body == LAYER
    assert anybody.ask("GET", target(address), Range="bytes=2-7").body == LAYER[2:8]
    assert anybody.ask("HEAD", target(address)).headers["content-length"] == str(len(LAYER))


def test_it_opens_nothing_else(registry: Registry, repository: str, anybody: Registry, address: str) -> None:
    path, _, ticket = target(address).partition("?")
    registry.push_layer(repository, b"another")
    others = (path.replace(digest(LAYER), digest(b"another")), path.replace("us-east-1", "us-west-2"), "/v2/")
    others += (f"/v2/{repository}/blobs/{digest(LAYER)}", f"{path.rpartition('/blobs/')[0]}/manifests/v1")
    assert {anybody.ask("GET", f"{other}?{ticket}").status for other in others} == {401}
    assert anybody.ask("POST", f"{path.rpartition('/')[0]}/uploads/?{ticket}").status == 401
    assert anybody.ask("GET", path).status == 401
    assert anybody.ask("GET", f"{path}?{ticket[:-2]}").status == 401
    assert anybody.ask("GET", f"{path}?{ticket}&{ticket}").status == 401
    assert registry.ask("GET", f"{path}?{ticket}").status == 401  # two proofs


def test_it_is_no_token_of_the_registry(server: WholeServer, registry: Registry, address: str) -> None:
    for path in ("/v2/", target(address).partition("?")[0]):
        assert Registry(server.port, basic(ticket(address))).ask("GET", path).status == 401
    token = b64decode(registry.headers["Authorization"].partition(" ")[2]).decode().partition(":")[2]
    assert Registry(server.port, basic(token)).ask("GET", "/v2/").status == 200
    assert Registry(server.port).ask("GET", f"/v2/?ticket={quote(token, safe='')}").status == 401


def ticket(address: str) -> str:
    return unquote(urlsplit(address).query.partition("=")[2])


def basic(password: str) -> str:
    return b64encode(f"AWS:{password}".encode()).decode()


def test_it_ends(server: WholeServer, anybody: Registry, address: str) -> None:
    secrets, path = RootKey.load(server.settings), target(address).partition("?")[0]
    found = tokens.read(secrets, ticket(address))
    assert found is not None
    statuses = {}
    for expires in (found.expires, 1.0):
        again = tokens.seal(secrets, found._replace(expires=expires))
        statuses[expires] = anybody.ask("GET", f"{path}?ticket={quote(again, safe='')}").status
    assert statuses == {found.expires: 200, 1.0: 401}


def test_it_is_as_good_as_what_its_asker_may(server: WholeServer, anybody: Registry, ecr: Any, address: str) -> None:
    repository = target(address).partition(".amazonaws.com/")[2].partition("/blobs/")[0]
    person = Person(server, allow("ecr:GetDownloadUrlForLayer"))
    named = {"repositoryName": repository, "layerDigest": digest(LAYER)}
    given = target(person.client("ecr").get_download_url_for_layer(**named)["downloadUrl"])
    assert anybody.ask("GET", given).status == 200
    person.iam.update_access_key(UserName=person.name, AccessKeyId=person.keys[0], Status="Inactive")
    assert anybody.ask("GET", given).status == 401
    nobody = Person(server)
    assert refusal(nobody.client("ecr").get_download_url_for_layer, **named)[0] == "AccessDeniedException"


def test_layers_that_are_not_given_out(ecr: Any, registry: Registry, repository: str) -> None:
    named: dict[str, Any] = {"repositoryName": repository}
    ask = ecr.get_download_url_for_layer
    assert refusal(ask, **named, layerDigest=digest(b"none"))[0] == "LayersNotFoundException"
    registry.push_layer(repository, b"of no image")
    assert refusal(ask, **named, layerDigest=digest(b"of no image"))[0] == "LayerInaccessibleException"
    assert refusal(ask, **named, layerDigest="sha256:1")[0] == "InvalidParameterException"
    assert refusal(ask, repositoryName="none", layerDigest=digest(b""))[0] == "RepositoryNotFoundException"
