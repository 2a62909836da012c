"""S3 alone behind real sockets, without the gate: the access key names the account. Gives way to the whole server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from api.port import port
from clary.auth.principals import ANONYMOUS, Principal
from clary.clock import SystemClock
from clary.config import Settings
from clary.context import Platform, Stores
from clary.errors import ServiceError
from clary.objects.filesystem import FilesystemStore
from clary.secrets import RootKey
from clary.services.operation import Call
from clary.services.s3 import OPERATIONS
from clary.store import schema
from clary.wire import faults, protocols
from clary.wire.messages import Body, BytesBody, Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from clary.wire.stream import ChunkedReader
from databases import open_database

MAIN, ALT = "123456789012", "210987654321"


class Unchunked:
    """An aws-chunked body, decoded."""

    def __init__(self, body: Body, length: int) -> None:
        self._reader = ChunkedReader(body)
        self._ended = False
        self._in_chunk = False
        self.length: int | None = length
        self.trailers: dict[str, str] = {}

    def read(self, size: int = -1, /) -> bytes:
        pieces, got = [], 0
        while not self._ended and (size < 0 or got < size):
            piece = self._reader.data(1 << 20 if size < 0 else size - got) if self._in_chunk else b""
            if piece:
                pieces.append(piece)
                got += len(piece)
                continue
            self._in_chunk = self._reader.header().size > 0
            if not self._in_chunk:
                self._ended = True
                self.trailers = dict(self._reader.trailers())
        return b"".join(pieces)


def principal(request: Request) -> tuple[Principal, str]:
    credential = (request.headers.get("authorization") or "").partition("Credential=")[2].split("/")
    if len(credential) < 5:
        return ANONYMOUS, "us-east-1"
    account = ALT if credential[0] == "ALT" else MAIN
    return Principal("root", account, f"arn:aws:iam::{account}:root", account, credential[0]), credential[2]


def answer(platform: Platform, router: Router, request: Request) -> Response:
    if (request.headers.get("x-amz-content-sha256") or "").startswith("STREAMING-"):
        length = int(request.headers.get("x-amz-decoded-content-length") or 0)
        request = replace(request, body=Unchunked(request.body, length))
    route = router.route(request)
    try:
        who, region = principal(request)
        body: Body = request.body
        if route.operation.has_streaming_input:
            given = protocols.parse(route, route.request)
        else:
            document = body.read()
            given, body = protocols.parse(route, route.request, document), BytesBody(document)
        handler = OPERATIONS.find(route.operation.name)
        assert handler is not None, f"{route.operation.name} is not built"
        call = Call(platform, who, "s3", route.operation.name, who.account, region, "REQUEST", route.request, body)
        return protocols.serialize(route.operation, handler(call, given), "REQUEST")
    except ServiceError as error:
        return faults.fault(error, route.protocol, "s3", route.operation, "REQUEST", request.path)


def build(home: Path, database_url: str = "") -> Platform:
    """Only what S3 uses."""
    database = open_database(database_url, home, schema.OBJECTS)
    stores = Stores(cast(Any, None), database, cast(Any, None))
    objects = FilesystemStore(home / "objects")
    settings = Settings.load({}, home=home)
    nothing = cast(Any, None)
    return Platform(settings, SystemClock(), stores, objects, nothing, nothing, lambda: None, RootKey.load(settings))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_urls: Callable[[], str]) -> Iterator[SimpleNamespace]:
    platform, router = build(tmp_path_factory.mktemp("home"), database_urls()), Router(Models())
    with port(lambda request: answer(platform, router, request)) as url:
        yield SimpleNamespace(url=url, platform=platform)
    platform.stores.objects.close()


Aws = Callable[..., Any]


@pytest.fixture
def aws(server: SimpleNamespace) -> Aws:
    def client(service: str, region: str = "us-east-1", key: str = "MAIN", kind: str = "client", **config: Any) -> Any:
        settings = Config(retries={"max_attempts": 1}, **({} if key else {"signature_version": UNSIGNED}), **config)
        make = boto3.client if kind == "client" else boto3.resource
        return make(
            service,
            region_name=region,
            endpoint_url=server.url,
            aws_access_key_id=key or None,
            aws_secret_access_key="secret" if key else None,
            config=settings,
        )

    return client


@pytest.fixture
def s3(aws: Aws) -> Any:
    return aws("s3")


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = f"b{abs(hash(request.node.nodeid)):x}"  # a name of its own for every test
    s3.create_bucket(Bucket=name)
    return name
