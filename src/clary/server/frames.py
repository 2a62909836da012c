"""The private protocol between an edge and the control plane: frames over a pooled unix socket.

A frame is a type byte, a big-endian u32 length and the payload. One exchange at a time on a connection. Requests go to
the control socket, questions to the one beside it (`questions_socket`).

    edge -> control   REQUEST {method, target, headers, scheme, peer, length, expect, files,
                      lands}, DATA*, then END or ABORT
                      TAKEN in answer to each FILE: the edge has opened it, or will not need it
                      WROTE count: that many bytes of the body are in the file, in place of DATA (after INTO)
                      RELEASE after a HELD: the answer is wanted now
                      QUESTION {...}: what an edge asks for itself (a credential, a route); no body
    control -> edge   CONTINUE at most once, when the handler first reads a body that the client holds back (`expect`)
                      INTO {path, ahead} at most once, when the request said `lands`: the rest of the body may be put
                      into this file, each byte at its place in the body, at most `ahead` bytes of it before READ
                      READ count: so many of those bytes were read, as many more may be put there
                      HELD at most once, when the request is whole and its RESPONSE will be late: it costs no thread
                      meanwhile, so the connection need not count, and may be closed when the client goes
                      RESPONSE {status, headers}, DATA*, then END or ABORT (cut the client off: the body broke midway)
                      FILE {path, offset, length, right, last} in place of DATA, when the request said `files`: the
                      body goes on with this much of a blob's file, which stays where it is until TAKEN; nothing else
                      comes before that. `right` as in `clary.objects.base.Extent`. After the `last` one nothing is
                      missing but END
                      ANSWER {...} to a QUESTION

The control plane may answer before the request's body has ended; the edge then sends ABORT in place of the rest, and
the control plane reads up to END or ABORT before the next exchange.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from enum import IntEnum
from pathlib import Path
from typing import Any

HEADER = struct.Struct("!BI")
COUNT = struct.Struct("!Q")  # the payload of WROTE and READ
PIECE = 256 * 1024  # the largest DATA payload either side sends
LONGEST = 4 * 1024 * 1024  # the largest payload either side accepts (heads are far smaller)
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_FIRST = 64 * 1024  # bytes of an exchange that are taken at once


class Frame(IntEnum):
    """What a frame holds. The numbers are the protocol's."""

    REQUEST = 1
    DATA = 2
    END = 3
    ABORT = 4
    QUESTION = 5
    CONTINUE = 6
    RESPONSE = 7
    ANSWER = 8
    HELD = 9
    RELEASE = 10
    FILE = 11
    TAKEN = 12
    INTO = 13
    WROTE = 14
    READ = 15


_FRAMES = {each.value: each for each in Frame}


def questions_socket(control: Path) -> Path:
    """Where questions are answered, given where requests are."""
    return control.with_name("questions.sock")


def pack(kind: Frame, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def pack_json(kind: Frame, value: Any) -> bytes:
    return pack(kind, _ENCODER.encode(value).encode())


class Inbound:
    """What the peer sends in one exchange that it begins, from a blocking socket.

    The first read takes whatever has come: most requests are whole then, and it is all of this exchange, because the
    peer begins no other before it has the answer. Later reads take no more than they need, so that nothing of the next
    exchange is held here when this one ends.
    """

    __slots__ = ("_begun", "_connection", "_kept")

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._kept = b""
        self._begun = False

    def comes(self, seconds: float) -> bool:
        """Waits until there is something to receive, or that time has passed, and says which."""
        if len(self._kept) >= HEADER.size:
            return True
        waiting = select.poll()
        waiting.register(self._connection, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    def receive(self) -> tuple[Frame, bytes] | None:
        """As the function `receive`."""
        if not self._begun:
            self._begun = True
            self._kept = self._connection.recv(_FIRST)
            if not self._kept:
                return None
        kept = self._kept
        if len(kept) < HEADER.size:
            more = _exactly(self._connection, HEADER.size - len(kept), may_end=not kept)
            if more is None:
                return None
            kept += more
        kind, length = _header(kept)
        end = HEADER.size + length
        payload, self._kept = kept[HEADER.size : end], kept[end:]
        if len(payload) < length:
            payload += _exactly(self._connection, length - len(payload), may_end=False) or b""
        return kind, payload


def receive(connection: socket.socket) -> tuple[Frame, bytes] | None:
    """The next frame from a blocking socket, None at a clean end. Raises ConnectionError on a torn or absurd one."""
    head = _exactly(connection, HEADER.size, may_end=True)
    if head is None:
        return None
    kind, length = _header(head)
    payload = _exactly(connection, length, may_end=False) if length else b""
    return kind, payload or b""


def _header(data: bytes) -> tuple[Frame, int]:
    kind, length = HEADER.unpack_from(data)
    if length > LONGEST:
        raise ConnectionError(f"a frame of {length} bytes")
    found = _FRAMES.get(kind)
    if found is None:
        raise ValueError(f"there is no frame of type {kind}")
    return found, length


def _exactly(connection: socket.socket, size: int, may_end: bool) -> bytes | None:
    data = connection.recv(size, socket.MSG_WAITALL)
    while len(data) < size:  # the peer closed, or was silent for too long: the next call tells which
        more = connection.recv(size - len(data), socket.MSG_WAITALL)
        if not more:
            if may_end and not data:
                return None
            raise ConnectionError("the peer closed in the middle of a frame")
        data += more
    return data
