"""S3 alone behind real sockets, without the gate: the access key names the account. Gives way to the whole server."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from clary.auth.principals import ANONYMOUS, Principal
from clary.clock import SystemClock
from clary.config import Settings
from clary.context import Platform, Stores
from clary.errors import ServiceError
from clary.objects.filesystem import FilesystemStore
from clary.services.operation import Call
from clary.services.s3 import OPERATIONS
from clary.store import schema
from clary.wire import faults, protocols
from clary.wire.messages import Body, BytesBody, Headers, Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from clary.wire.stream import ChunkedReader
from databases import open_database

MAIN, ALT = "123456789012", "210987654321"


class SocketBody:
    def __init__(self, file: Any, length: int) -> None:
        self._file = file
        self._left = length
        self.length: int | None = length

    def read(self, size: int = -1, /) -> bytes:
        piece: bytes = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        return piece


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


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        headers = Headers(list(self.headers.items()))
        body: Body = SocketBody(self.rfile, int(headers.get("content-length") or 0))
        raw = body
        if (headers.get("x-amz-content-sha256") or "").startswith("STREAMING-"):
            body = Unchunked(body, int(headers.get("x-amz-decoded-content-length") or 0))
        server = cast(Any, self.server)
        response = answer(server.platform, server.router, Request(self.command, self.path, headers, body))
        while raw.read(1 << 20):
            pass
        self._send(response)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        names = {name.lower() for name, _ in response.headers}
        for name, value in response.headers:
            self.send_header(name, value)
        if "content-length" not in names and response.status != 304:
            response.body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in [response.body] if isinstance(response.body, bytes) else response.body:
            self.wfile.write(piece)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def build(home: Path, database_url: str = "") -> Platform:
    """Only what S3 uses."""
    database = open_database(database_url, home, schema.OBJECTS)
    stores = Stores(cast(Any, None), database, cast(Any, None))
    objects = FilesystemStore(home / "objects")
    settings = Settings.load({}, home=home)
    return Platform(settings, SystemClock(), stores, objects, cast(Any, None), cast(Any, None), lambda: None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_urls: Callable[[], str]) -> Iterator[SimpleNamespace]:
    httpd = Server(("127.0.0.1", 0), Handler)
    platform = build(tmp_path_factory.mktemp("home"), database_urls())
    cast(Any, httpd).platform = platform
    cast(Any, httpd).router = Router(Models())
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{httpd.server_port}", platform=platform)
    httpd.shutdown()
    thread.join()
    httpd.server_close()
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
