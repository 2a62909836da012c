"""Deadlines of many connections at the price of one attribute each: a sweep looks at them all once a second."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Protocol

from clary.edge.peer import Peer

NEVER = math.inf
HEAD_SECONDS = 10.0  # from the first byte of a head to its last
IDLE_SECONDS = 75.0  # between two requests
BODY_SECONDS = 60.0  # without a byte of a body that is waited for
STALL_SECONDS = 60.0  # without the client taking any of a response
LINGER_SECONDS = 5.0  # reading over the rest of a body that nobody wants, so that the client sees the answer

_SWEEP_SECONDS = 1.0


class Expiring(Protocol):
    """`deadline` is a time of the loop's clock; `expire` is called at most one sweep after it has passed. `peer` is who
    is at the other end, who stays."""

    deadline: float
    peer: Peer

    def expire(self) -> None: ...

    def stop(self) -> None: ...


class Deadlines:
    """The open connections of one loop. `stop` asks all of them to end; `empty` is set while there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = loop.time
        self.empty = asyncio.Event()
        self.empty.set()
        self._members: set[Expiring] = set()
        self._shares: Counter[str] = Counter()
        self._stopping = False
        self._timer = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def __len__(self) -> int:
        return len(self._members)

    def of(self, share: str) -> int:
        """How many there are of those that have that share."""
        return self._shares[share]

    def add(self, member: Expiring) -> None:
        self._members.add(member)
        self._shares[member.peer.share] += 1
        self.empty.clear()
        if self._stopping:
            member.stop()

    def discard(self, member: Expiring) -> None:
        if member not in self._members:
            return
        self._members.remove(member)
        share = member.peer.share
        self._shares[share] -= 1
        if not self._shares[share]:
            del self._shares[share]
        if not self._members:
            self.empty.set()

    def stop(self) -> None:
        self._stopping = True
        for member in tuple(self._members):
            member.stop()

    def close(self) -> None:
        self._timer.cancel()

    def _sweep(self) -> None:
        now = self.now()
        for member in [each for each in self._members if each.deadline < now]:
            member.expire()
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
