"""HTTPS on the same port, our certificates, and AWS's addresses brought home through the proxy."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from clary.config import Settings
from clary.server import run_folders
from clary.server.certificates import Authority, ServerContexts, usual_roots
from clary.wire.messages import Request, Response

from .conftest import KEY, SECRET, EdgeProcess, Plane


@pytest.fixture
def trust(edge: EdgeProcess) -> ssl.SSLContext:
    Authority.open(edge.settings.secrets)  # the edge may still be about to make it
    return ssl.create_default_context(cafile=str(edge.settings.secrets / "ca.pem"))


def secure(edge: EdgeProcess, trust: ssl.SSLContext, name: str, sock: socket.socket | None = None) -> ssl.SSLSocket:
    return trust.wrap_socket(sock or edge.connect(), server_hostname=name)


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, int]]:
    """Another server, which is not ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(
                {"path": self.path, "host": self.headers["Host"], "via": self.headers["Proxy-Connection"]}
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "127.0.0.1", server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "name",
    [
        "localhost", "127.0.0.1", "bucket.s3.localhost", "api.sagemaker.us-east-1.amazonaws.com",
        "123456789012.s3-control.eu-west-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn", "a.b.c.s3.amazonaws.com",
    ],
)  # fmt: skip
def test_our_names_are_certified(edge: EdgeProcess, trust: ssl.SSLContext, name: str) -> None:
    with secure(edge, trust, name) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["scheme"] == "https"


def test_wildcards_are_such_as_every_library_takes(edge: EdgeProcess, trust: ssl.SSLContext) -> None:
    """rustls takes a certificate with a wildcard of fewer than three labels for malformed."""
    with secure(edge, trust, "127.0.0.1") as connection:
        names = [name for kind, name in connection.getpeercert()["subjectAltName"] if kind == "DNS"]
    assert "*.s3.localhost" in names
    assert not [name for name in names if name.startswith("*") and name.count(".") < 2]


@pytest.mark.parametrize("name", ["example.com", "amazonaws.com.example.com", "notamazonaws.com"])
def test_other_names_are_not(edge: EdgeProcess, trust: ssl.SSLContext, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        secure(edge, trust, name)


def test_the_ca_is_no_key_to_the_rest_of_the_web(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    contexts = ServerContexts(authority)
    issued = contexts._context(("example.com",))
    client = ssl.create_default_context(cafile=str(authority.path))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=lambda: _handshake(issued, ours))
        thread.start()
        with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
            client.wrap_socket(theirs, server_hostname="example.com")
        thread.join()


def _handshake(context: ssl.SSLContext, sock: socket.socket) -> None:
    try:
        context.wrap_socket(sock, server_side=True)
    except ssl.SSLError:
        return


def test_the_ca_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first = Authority.open(tmp_path / "secrets")
    second = Authority.open(tmp_path / "secrets")
    assert first.certificate == second.certificate
    assert (tmp_path / "secrets" / "ca.key").stat().st_mode & 0o777 == 0o600


def test_a_damaged_authority_takes_tls_away_until_it_is_mended(tmp_path: Path) -> None:
    settings = Settings.load({}, home=tmp_path)
    run_folders.make(settings)
    Authority.open(settings.secrets)
    key = settings.secrets / "ca.key"
    right = key.read_bytes()
    key.write_bytes(b"nonsense")
    plane, edge = Plane(settings.run / "control.sock"), EdgeProcess(tmp_path)
    plane.start()
    try:
        trust = ssl.create_default_context(cafile=str(settings.secrets / "ca.pem"))
        with pytest.raises(OSError):
            secure(edge, trust, "localhost")
        client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
        client.request("GET", "/")
        assert client.getresponse().status == 200
        key.write_bytes(right)
        secure(edge, trust, "localhost").close()
    finally:
        assert edge.stop() == 0
        plane.stop()


def test_the_bundle_has_our_ca_and_the_usual_roots_once(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    roots = usual_roots({})
    assert len(roots) == 1
    target = tmp_path / "bundle.pem"
    authority.bundle(target, {})
    authority.bundle(target, {"AWS_CA_BUNDLE": str(target)})  # within an environment of ours already
    context = ssl.create_default_context(cafile=str(target))
    assert len(context.get_ca_certs()) > 20
    assert target.read_text().count(authority.path.read_text().strip()) == 1


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\xff\xff" + b"\x00" * 600, b"\x16nonsense", b"\x00\r\n\r\n"])
def test_garbage_ends_its_own_connection_only(edge: EdgeProcess, garbage: bytes) -> None:
    with edge.connect() as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert b"200 OK" not in b"".join(iter(lambda: connection.recv(65536), b""))
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.request("GET", "/")
    assert client.getresponse().status == 200


def test_a_large_body_over_tls(edge: EdgeProcess, trust: ssl.SSLContext) -> None:
    client = http.client.HTTPSConnection("localhost", edge.port, context=trust, timeout=20)
    client.request("PUT", "/", b"x" * 5_000_000)
    assert json.loads(client.getresponse().read())["read"] == 5_000_000


def test_boto3_comes_home_through_the_proxy(
    edge: EdgeProcess, plane: Plane, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(200, [("Content-Type", "application/xml")], b"<ListAllMyBucketsResult/>")

    plane.application = answer
    Authority.open(edge.settings.secrets).bundle(tmp_path / "bundle.pem", {})
    s3 = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        verify=str(tmp_path / "bundle.pem"),
        config=Config(proxies={"https": edge.url}, retries={"total_max_attempts": 1}),
    )
    s3.list_buckets()
    s3.list_buckets()
    assert [(each.scheme, each.host, each.path) for each in seen] == [("https", "s3.eu-west-1.amazonaws.com", "/")] * 2
    assert seen[0].peer == "127.0.0.1"


def test_an_http_target_of_ours_is_served_here(edge: EdgeProcess) -> None:
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.request("GET", "http://s3.amazonaws.com/bucket/a%2fb?x=y")
    assert json.loads(client.getresponse().read())["target"] == "/bucket/a%2fb?x=y"
    client.request("GET", "http://s3.amazonaws.com/x", headers={"Host": "other.amazonaws.com"})
    assert client.getresponse().status == 400


def test_other_hosts_are_tunnelled_untouched(edge: EdgeProcess, elsewhere: tuple[str, int]) -> None:
    host, port = elsewhere
    client = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    client.set_tunnel(host, port)
    client.request("GET", "/through")
    assert json.loads(client.getresponse().read())["path"] == "/through"
    plain = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    plain.request("GET", f"http://{host}:{port}/plain?q", headers={"Proxy-Connection": "keep-alive"})
    assert json.loads(plain.getresponse().read()) == {"path": "/plain?q", "host": f"{host}:{port}", "via": None}


def test_a_host_that_is_not_there_is_a_bad_gateway(edge: EdgeProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with edge.connect() as connection:
        connection.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: h\r\n\r\n" % port)
        assert connection.recv(1000).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("authority", [b"s3.amazonaws.com", b"s3.amazonaws.com:22", b":443", b"x:99999", b"u@h:443"])
def test_odd_tunnels_are_refused(edge: EdgeProcess, authority: bytes) -> None:
    with edge.connect() as connection:
        connection.sendall(b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n" % authority)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
