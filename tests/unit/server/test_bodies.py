"""A request's body at the control plane's end: in frames, in a file that the edge writes, and in both."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.server.bodies import ClientGone, FrameBody
from clary.server.frames import COUNT, Frame, Inbound, pack, receive

DATA = os.urandom(20 << 20)
FIRST = 1000  # bytes that were read before anybody asked for a file


class Edge:
    """The other end: sends frames, and writes to the file as an edge does."""

    def __init__(self, connection: socket.socket, path: Path) -> None:
        self.connection = connection
        self._path = path
        self._at = FIRST

    def data(self, size: int) -> None:
        self.connection.sendall(pack(Frame.DATA, DATA[self._at : self._at + size]))
        self._at += size

    def write(self, size: int) -> None:
        with self._path.open("r+b") as file:
            file.seek(self._at)
            file.write(DATA[self._at : self._at + size])
        self.connection.sendall(pack(Frame.WROTE, COUNT.pack(size)))
        self._at += size

    def send(self, kind: Frame) -> None:
        self.connection.sendall(pack(kind))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(DATA[:FIRST])
    descriptor = os.open(tmp_path / "file", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[FrameBody, Edge]]:
    """A body that begins with FIRST bytes in a frame, read already."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(20)
        ours.settimeout(20)
        theirs.sendall(pack(Frame.DATA, DATA[:FIRST]))
        body = FrameBody(ours, Inbound(ours), len(DATA), False, lands=True)
        assert body.read(FIRST) == DATA[:FIRST]
        yield body, Edge(theirs, tmp_path / "file")


def landed(body: FrameBody, edge: Edge, path: Path, file: int) -> None:
    assert body.land(str(path), file)
    kind, payload = receive(edge.connection) or pytest.fail("closed")
    assert kind is Frame.INTO
    assert str(path).encode() in payload


def test_frames_and_file_take_turns(ends: tuple[FrameBody, Edge], tmp_path: Path, file: int) -> None:
    body, edge = ends
    edge.data(500)  # on its way already when the file is asked for
    landed(body, edge, tmp_path / "file", file)
    edge.data(7_000)
    edge.write(9 << 20)
    edge.write(1)
    edge.data(3)  # as when the file takes no more
    edge.send(Frame.END)
    size = FIRST + 500 + 7_000 + (9 << 20) + 4
    assert body.read() == DATA[FIRST:size]
    assert (tmp_path / "file").read_bytes() == DATA[:size]
    assert receive(edge.connection) == (Frame.READ, COUNT.pack(8 << 20))
    assert body.read() == b""


def test_a_piece_that_was_read_in_part(ends: tuple[FrameBody, Edge], tmp_path: Path, file: int) -> None:
    body, edge = ends
    edge.data(500)
    assert body.read(100) == DATA[FIRST : FIRST + 100]
    os.pwrite(file, DATA[FIRST : FIRST + 100], FIRST)
    landed(body, edge, tmp_path / "file", file)
    edge.write(50)
    edge.send(Frame.END)
    assert body.read() == DATA[FIRST + 100 : FIRST + 550]
    assert (tmp_path / "file").read_bytes() == DATA[: FIRST + 550]


def test_a_client_that_leaves(ends: tuple[FrameBody, Edge], tmp_path: Path, file: int) -> None:
    body, edge = ends
    landed(body, edge, tmp_path / "file", file)
    edge.write(10)
    edge.send(Frame.ABORT)
    with pytest.raises(ClientGone):
        body.read()
    assert not body.broken


def test_what_nobody_wants_is_read_over(ends: tuple[FrameBody, Edge], tmp_path: Path, file: int) -> None:
    """And written nowhere: the file may be closed, and its number another file's."""
    body, edge = ends
    landed(body, edge, tmp_path / "file", file)
    os.ftruncate(file, 0)
    edge.connection.sendall(pack(Frame.WROTE, COUNT.pack(10)))
    edge.data(10)
    edge.send(Frame.ABORT)
    body.finish()
    assert not body.broken
    assert os.fstat(file).st_size == 0


def test_an_edge_that_did_not_write_what_it_says(ends: tuple[FrameBody, Edge], tmp_path: Path, file: int) -> None:
    body, edge = ends
    landed(body, edge, tmp_path / "file", file)
    edge.connection.sendall(pack(Frame.WROTE, COUNT.pack(10)))
    with pytest.raises(OSError, match="ends before"):
        body.read()


def test_a_word_about_a_file_that_nobody_asked_for(ends: tuple[FrameBody, Edge]) -> None:
    body, edge = ends
    edge.connection.sendall(pack(Frame.WROTE, COUNT.pack(10)))
    with pytest.raises(ClientGone):
        body.read()
    assert body.broken


def test_not_where_little_is_missing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not FrameBody(ours, Inbound(ours), 1000, False, lands=True).land("/nowhere", 0)
        assert not FrameBody(ours, Inbound(ours), None, False, lands=True).land("/nowhere", 0)
        assert not FrameBody(ours, Inbound(ours), len(DATA), False).land("/nowhere", 0)
