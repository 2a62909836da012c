"""Frames as the control plane takes them from a socket, over real ones."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from clary.server.frames import HEADER, LONGEST, PIECE, Frame, Inbound, pack

Ends = tuple[Inbound, socket.socket, socket.socket]
HEAD = pack(Frame.REQUEST, b"{}")


@pytest.fixture
def ends() -> Iterator[Ends]:
    """What comes in, over the first socket, of what the second sends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(20)
        yield Inbound(ours), ours, theirs


def test_an_exchange_that_came_whole_comes_out_frame_by_frame(ends: Ends) -> None:
    inbound, _, theirs = ends
    theirs.sendall(HEAD + pack(Frame.DATA, b"body") + pack(Frame.END))
    assert [inbound.receive() for _ in range(3)] == [(Frame.REQUEST, b"{}"), (Frame.DATA, b"body"), (Frame.END, b"")]


@pytest.mark.parametrize("first", [1, 4, 5, 6, 7, 9, 2000])
def test_a_frame_may_come_in_any_pieces(ends: Ends, first: int) -> None:
    inbound, ours, theirs = ends
    body = os.urandom(PIECE)
    sent = HEAD + pack(Frame.DATA, body) + pack(Frame.END)
    theirs.sendall(sent[:first])
    assert len(ours.recv(first, socket.MSG_PEEK | socket.MSG_WAITALL)) == first  # what the first read finds
    sender = threading.Thread(target=theirs.sendall, args=(sent[first:],))
    frames: list[tuple[Frame, bytes] | None] = []
    if first > len(HEAD):
        frames.append(inbound.receive())
    sender.start()
    frames += [inbound.receive() for _ in range(3 - len(frames))]
    sender.join()
    assert frames == [(Frame.REQUEST, b"{}"), (Frame.DATA, body), (Frame.END, b"")]


def test_nothing_of_the_next_exchange_is_taken(ends: Ends) -> None:
    inbound, ours, theirs = ends
    theirs.sendall(HEAD)
    assert inbound.receive() == (Frame.REQUEST, b"{}")
    theirs.sendall(pack(Frame.END) + HEAD)  # the answer is out, and the peer has begun anew
    assert inbound.receive() == (Frame.END, b"")
    assert Inbound(ours).receive() == (Frame.REQUEST, b"{}")


@pytest.mark.parametrize("sent", [b"", HEAD + pack(Frame.END)])
def test_an_end_between_frames_is_clean(ends: Ends, sent: bytes) -> None:
    inbound, _, theirs = ends
    theirs.sendall(sent)
    theirs.close()
    frames = [inbound.receive() for _ in range(sent.count(HEAD) * 2 + 1)]
    assert frames[-1] is None
    assert None not in frames[:-1]


@pytest.mark.parametrize("sent", [HEAD[:2], HEAD[:-1], HEADER.pack(Frame.REQUEST, LONGEST + 1)])
def test_a_torn_or_absurd_frame_is_an_error(ends: Ends, sent: bytes) -> None:
    inbound, _, theirs = ends
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(ConnectionError):
        inbound.receive()
