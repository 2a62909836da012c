"""IAM and STS behind a real socket, the wire and the gate. Gives way to the whole server's fixtures."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from clary.auth.gate import Gate
from clary.clock import SystemClock
from clary.config import Settings
from clary.context import Platform, Stores
from clary.errors import ServiceError, not_built
from clary.services import iam, sts
from clary.services.iam import first_start, root_key
from clary.services.iam.keys import RecordKeyring
from clary.services.operation import Call
from clary.store import schema
from clary.wire import faults, protocols
from clary.wire.messages import BytesBody, Headers, Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from databases import open_database

TABLES = {"iam": iam.OPERATIONS, "sts": sts.OPERATIONS}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, settings: Settings) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.settings = settings
        self.clock = SystemClock()
        self.router = Router(Models())
        self.open()

    def open(self) -> None:
        database = open_database(self.settings.database_url, self.settings.data, schema.RECORDS)
        first_start.provision(database, self.settings, self.clock)
        stores = Stores(database, cast(Any, None), cast(Any, None))
        nothing = cast(Any, None)
        self.platform = Platform(self.settings, self.clock, stores, nothing, nothing, nothing, lambda: None)
        self.gate = Gate(RecordKeyring(database, self.settings, self.clock), self.clock, self.settings)

    def reopen(self) -> None:
        """As a restart of the server would."""
        self.platform.stores.records.close()
        self.open()

    def answer(self, request: Request) -> Response:
        route = self.router.route(request)
        try:
            admitted = self.gate.admit(route.request, route.signing_scope, route.protocol)
            given = protocols.parse(route, admitted.request)
            handler = TABLES[route.service].find(route.operation.name)
            if handler is None:
                raise not_built(route.service, route.operation.name)
            who, body = admitted.principal, admitted.request.body
            name = route.operation.name
            call = Call(
                self.platform, who, route.service, name, who.account, admitted.region, "ID", admitted.request, body
            )
            return protocols.serialize(route.operation, handler(call, given), "ID", route.protocol)
        except ServiceError as error:
            return faults.fault(error, route.protocol, route.service, route.operation, "ID")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        headers = Headers(list(self.headers.items()))
        body = BytesBody(self.rfile.read(int(headers.get("content-length") or 0)))
        response = cast(Server, self.server).answer(Request(self.command, self.path, headers, body))
        data = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        self.send_response(response.status)
        for name, value in response.headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[Server]:
    settings = Settings(home=tmp_path, database_url=database_urls())
    settings.data.mkdir()
    server = Server(settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
    server.platform.stores.records.close()


@pytest.fixture(scope="session")
def boto() -> boto3.Session:
    """Its models are read once."""
    return boto3.Session(region_name="us-east-1")


@pytest.fixture
def aws(server: Server, boto: boto3.Session) -> Callable[..., Any]:
    """aws("iam") -> a client with the root's key; `key` and `token` replace it."""
    root = root_key.load(server.settings)

    def client(
        service: str, key: tuple[str, str] = (root.access_key, root.secret_key), token: str | None = None
    ) -> Any:
        return boto.client(
            service,
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


def credentials(answer: Any) -> SimpleNamespace:
    """The Credentials of an STS answer, as arguments of `aws`."""
    given = answer["Credentials"]
    return SimpleNamespace(
        key=(given["AccessKeyId"], given["SecretAccessKey"]), token=given["SessionToken"], until=given["Expiration"]
    )
