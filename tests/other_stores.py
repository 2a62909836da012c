"""Other S3-compatible stores for tests: real servers with a bucket, where a server's objects may be kept.

`clary`: a second Clary, over HTTP. `moto`: moto_server, which others wrote and which keeps them in memory. `yours`: the
one that the variables OTHER_STORE_ENDPOINT, _BUCKET, _ACCESS_KEY_ID and _SECRET_ACCESS_KEY name, where they are set.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator

import pytest

from clary.objects.remote.bucket import Bucket
from clary.objects.remote.place import Place
from whole_server import WholeServer, client_programs, wait_until, whole_server

NAMES = ("clary", "moto", *(("yours",) if "OTHER_STORE_ENDPOINT" in os.environ else ()))
# A second Clary is what every test of tests/api/s3/test_elsewhere.py has; here it is for thoroughness.
SAMPLED = [pytest.param(name, marks=pytest.mark.slow) if name == "clary" else name for name in NAMES]
_BUCKET = "elsewhere"


@contextlib.contextmanager
def other_store(name: str) -> Iterator[Place]:
    """A place in a running store, with nothing below its prefix."""
    with {"clary": _clary, "moto": _moto, "yours": _yours}[name]() as place:
        yield place


def settings_of(place: Place) -> dict[str, str]:
    """The settings that say it."""
    return {
        "objects_bucket": place.bucket,
        "objects_prefix": place.prefix,
        "objects_endpoint": place.endpoint,
        "objects_access_key_id": place.access_key,
        "objects_secret_access_key": place.secret_key,
    }


def keys_below(place: Place) -> list[str]:
    return [each.key for page in Bucket(place).list(f"{place.prefix}/") for each in page]


def place_in(server: WholeServer) -> Place:
    """A place in a Clary, in a new bucket."""
    server.client("s3").create_bucket(Bucket=_BUCKET)
    keys = server.keys()
    return _place(server.url, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])


def _place(endpoint: str, access_key: str, secret_key: str, bucket: str = _BUCKET) -> Place:
    prefix = f"tests/{secrets.token_hex(4)}"
    return Place(bucket, prefix, endpoint, "us-east-1", "path", "", access_key, secret_key)


@contextlib.contextmanager
def _clary() -> Iterator[Place]:
    with whole_server() as server:
        yield place_in(server)


@contextlib.contextmanager
def _moto() -> Iterator[Place]:
    program = client_programs("peers-moto") / "moto_server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        place = _place(f"http://127.0.0.1:{port}", "key", "secret")
        wait_until(lambda: _listens(port), what="moto_server does not answer")
        Bucket(place)._client.create_bucket(Bucket=_BUCKET)
        yield place
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _yours() -> Iterator[Place]:
    given = {name: os.environ[f"OTHER_STORE_{name}"] for name in ("ENDPOINT", "BUCKET", "ACCESS_KEY_ID")}
    secret = os.environ["OTHER_STORE_SECRET_ACCESS_KEY"]
    yield _place(given["ENDPOINT"], given["ACCESS_KEY_ID"], secret, given["BUCKET"])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
