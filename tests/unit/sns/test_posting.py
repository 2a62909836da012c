"""One POST to somebody's endpoint: what counts as taken, and when it is over."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from clary.server.certificates import Authority, ServerContexts
from clary.services.sns.addresses import Reach
from clary.services.sns.posting import Failed, post


@contextmanager
def endpoint(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The URL where `answer` gets each connection, when its request has come."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # it is over
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as mine:
                    mine.recv(65_536)
                    answer(mine)
            except OSError:  # the other side has gone
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"{'https' if context else 'http'}://127.0.0.1:{listening.getsockname()[1]}/told?a=b"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def saying(status: str) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("status", "final"),
    [
        ("200 OK", None),
        ("204 No Content", None),
        ("302 Found", True),
        ("400 Bad Request", True),
        ("404 Not Found", True),
        ("429 Too Many Requests", False),
        ("500 Internal Server Error", False),
        ("503 Service Unavailable", False),
    ],
)
def test_what_counts(status: str, final: bool | None) -> None:
    with endpoint(saying(status)) as url:
        if final is None:
            post(url, b"body", {})
            return
        with pytest.raises(Failed) as caught:
            post(url, b"body", {})
        assert caught.value.final is final


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Failed) as caught:
        post(f"http://127.0.0.1:{port}/", b"body", {})
    assert not caught.value.final


@pytest.mark.parametrize("host", ["[2001:db8::abcd]", "a..b", "x" * 70 + ".example", "a%20b", "[::1"])
def test_hosts_that_lead_nowhere(host: str) -> None:
    with pytest.raises(Failed):
        post(f"http://{host}/x", b"body", {}, seconds=1)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "0.0.0.0", "0", "[::]", "[fe80::1]"]
)
def test_where_nobody_may(host: str) -> None:
    with pytest.raises(Failed, match="not connected to") as caught:
        post(f"http://{host}/", b"body", {}, seconds=1)
    assert caught.value.final


def test_what_the_operator_denies_and_the_own_port() -> None:
    with endpoint(saying("200 OK")) as url:
        port = urlsplit(url).port or 0
        for reach in (Reach((ipaddress.ip_network("127.0.0.0/8"),)), Reach(own=port)):
            with pytest.raises(Failed, match="not connected to"):
                post(url, b"body", {}, reach)
        post(url, b"body", {}, Reach((ipaddress.ip_network("10.0.0.0/8"),), own=port + 1))


def test_what_is_no_http() -> None:
    with endpoint(lambda connection: connection.sendall(b"220 mail\r\n")) as url, pytest.raises(Failed):
        post(url, b"body", {})


def test_it_is_over_in_time_however_slowly_the_other_side_speaks() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 ")
        while not over.wait(0.05):
            connection.sendall(b"O")

    begin = time.monotonic()
    try:
        with endpoint(drip) as url:
            with pytest.raises(Failed):
                post(url, b"body", {}, seconds=0.5)
            over.set()
    finally:
        over.set()
    assert time.monotonic() - begin < 10


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority.open(tmp_path)
    with endpoint(saying("200 OK"), ServerContexts(authority).default) as url:
        with pytest.raises(Failed) as caught:
            post(url, b"body", {})
        assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))  # as a user has the machine trust his own
        post(url, b"body", {})


def test_a_host_that_is_looked_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def resolver(*_: object, **__: object) -> list[object]:
        over.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with pytest.raises(Failed, match=r"silent\.example was not looked up within 0\.1 s"):
        post("http://silent.example/", b"{}", {}, seconds=0.1)
    over.set()


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(Failed):
        post(f"http://{'x' * 64}.invalid/", b"{}", {})  # no label is as long
