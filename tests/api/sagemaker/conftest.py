"""boto3 clients over real HTTP against the real wire and operations; jobs run in FakeCompute, stepped by the tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from clary.errors import ServiceError
from clary.wire import faults, protocols
from clary.wire.messages import BytesBody, Headers, Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from clary.wire.validate import validate
from sagemaker_bench import ACCOUNT, REGION, Bench


def answer(bench: Bench, router: Router, request: Request) -> Response:
    route = router.route(request)
    try:
        given = protocols.parse(route)
        validate(route.operation.input_shape, given)
        result = bench.call(route.operation.name, ACCOUNT, REGION, **given)
        return protocols.serialize(route.operation, result, "r-1", route.protocol)
    except ServiceError as error:
        return faults.fault(error, route.protocol, route.service, route.operation, "r-1")


@pytest.fixture
def bench(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[Bench]:
    made = Bench(tmp_path / "home", database_url=database_urls())
    yield made
    made.close()


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One for all tests: it keeps the parsed service models."""
    return boto3.Session("AKIAEXAMPLE", "secret", region_name=REGION)


@pytest.fixture(scope="session")
def router() -> Router:
    return Router(Models())


@pytest.fixture
def aws(bench: Bench, session: boto3.Session, router: Router) -> Iterator[Callable[[str], Any]]:

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            request = Request("POST", self.path, Headers(list(self.headers.items())), BytesBody(body))
            response = answer(bench, router, request)
            assert isinstance(response.body, bytes)
            self.send_response(response.status)
            for name, value in response.headers:
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    clients: list[Any] = []

    def client(name: str) -> Any:
        made = session.client(
            name, endpoint_url=f"http://127.0.0.1:{server.server_port}", config=Config(retries={"max_attempts": 0})
        )
        clients.append(made)
        return made

    yield client
    for made in clients:
        made.close()
    server.shutdown()
    server.server_close()
    thread.join()
