"""What passes between two sockets that are joined: all of it, in order, and no more than is taken."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.sandbox.relay import Target, relay

PATIENCE = 60.0
END = b""
MOST = 3


class Ends:
    """`inside` is where jobs connect; `accept` gives what the server, at `target`, sees of each connection."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.inside = socket.create_server(("127.0.0.1", 0))
        self.listen()
        threading.Thread(target=relay, args=(self.inside.dup(), self.target, MOST), daemon=True).start()

    def listen(self) -> None:
        if isinstance(self.target, str):
            Path(self.target).unlink(missing_ok=True)
            self.server = socket.socket(socket.AF_UNIX)
            self.server.bind(self.target)
            self.server.listen(256)
        else:
            self.server = socket.create_server(self.target)
            self.target = self.server.getsockname()
        self.server.settimeout(PATIENCE)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.inside.getsockname(), PATIENCE)

    def accept(self) -> socket.socket:
        connection = self.server.accept()[0]
        connection.settimeout(PATIENCE)
        return connection

    def shut(self) -> None:
        self.inside.shutdown(socket.SHUT_RDWR)
        self.inside.close()


@pytest.fixture(params=["unix", "tcp"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    made = Ends(str(tmp_path / "s") if request.param == "unix" else ("127.0.0.1", 0))
    yield made
    if made.inside.fileno() >= 0:
        made.shut()
    made.server.close()


def whole(connection: socket.socket) -> bytes:
    """All that comes until the end."""
    return b"".join(iter(lambda: connection.recv(1 << 20), END))


def test_each_side_may_end_before_the_other(ends: Ends) -> None:
    data = os.urandom(8 << 20)
    with ends.connect() as job, ends.accept() as server:
        sending = threading.Thread(target=lambda: (job.sendall(data), job.shutdown(socket.SHUT_WR)))
        sending.start()
        assert hashlib.sha256(whole(server)).digest() == hashlib.sha256(data).digest()
        sending.join()
        server.sendall(b"an answer after the end of the question")
        server.shutdown(socket.SHUT_WR)
        assert whole(job) == b"an answer after the end of the question"


def test_what_nobody_takes_is_not_read(ends: Ends) -> None:
    with ends.connect() as job, ends.accept() as server, ends.connect() as other, ends.accept() as others:
        job.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 1 << 30:
                sent += job.send(bytes(1 << 20))
        other.sendall(b"goes on")
        assert others.recv(100) == b"goes on"
        job.shutdown(socket.SHUT_WR)
        assert len(whole(server)) == sent


def test_one_that_breaks_off_ends_the_other_side(ends: Ends) -> None:
    with ends.connect() as job, ends.accept() as server:
        server.close()
        assert job.recv(1) == END
    with ends.connect() as job, ends.accept() as server:
        job.close()
        assert server.recv(1) == END


def test_too_many_wait_for_their_turn(ends: Ends) -> None:
    first, *others = (ends.connect() for _ in range(MOST))
    taken = [ends.accept() for _ in range(MOST)]
    with ends.connect() as last:
        last.sendall(b"last")
        ends.server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ends.accept()
        ends.server.settimeout(PATIENCE)
        first.close()
        taken[0].close()
        with ends.accept() as server:
            assert server.recv(100) == b"last"
    for each in (*others, *taken):
        each.close()


def test_it_ends_with_its_listener(ends: Ends) -> None:
    with ends.connect() as job, ends.accept() as server:
        ends.shut()
        assert job.recv(1) == END
        assert server.recv(1) == END


def test_while_the_server_is_away_connections_are_closed(ends: Ends) -> None:
    ends.server.close()
    with ends.connect() as job:
        assert job.recv(1) == END
    ends.listen()
    with ends.connect() as job, ends.accept() as server:
        job.sendall(b"again")
        assert server.recv(100) == b"again"


def test_the_other_side_sees_whose_connections_they_are(tmp_path: Path) -> None:
    """Each from an address of its own."""
    with socket.socket(socket.AF_UNIX) as server, socket.create_server(("127.0.0.1", 0)) as inside:
        server.bind(str(tmp_path / "s"))
        server.listen()
        server.settimeout(PATIENCE)
        given = (inside.dup(), str(tmp_path / "s"), MOST, "jobs/one")
        threading.Thread(target=relay, args=given, daemon=True).start()
        with (
            socket.create_connection(inside.getsockname(), PATIENCE),
            socket.create_connection(inside.getsockname(), PATIENCE),
        ):
            taken = [server.accept() for _ in range(2)]
        names = {address for _, address in taken}
        for connection, _ in taken:
            connection.close()
        inside.shutdown(socket.SHUT_RDWR)
    assert len(names) == 2 and {name.rpartition(b"/")[0] for name in names} == {b"\0jobs/one"}
