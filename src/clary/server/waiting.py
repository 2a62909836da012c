"""The waiting room: requests whose answer may come later, parked without a thread each and without a transaction.

One thread keeps them all. It wakes for a commit that changed a record somebody waits for, for the end of somebody's
time, and for an edge that lets go of one. Whoever comes is looked at once more when it is known here, so that no commit
falls between the first look and the wait.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass

from clary.server.exchange import Hold, send
from clary.server.frames import Frame, pack, receive
from clary.server.lane import After
from clary.wire.messages import Response

_LOG = logging.getLogger(__name__)

Leave = Callable[[socket.socket, After], None]


@dataclass(eq=False, slots=True)
class _Guest:
    """A parked exchange: its connection is the room's until `leave`."""

    connection: socket.socket
    hold: Hold
    leave: Leave
    told: bool = False  # the edge knows that the answer comes later


class WaitingRoom:
    """Holds at most `most` requests, `each` of one owner. `changed` is called after each commit, with the ARNs of the
    records that it changed. A room that has not started or was closed takes nobody in."""

    def __init__(self, each: int = 32, most: int = 1000) -> None:
        self._each = each
        self._most = most
        self._mutex = threading.Lock()  # guards the next five
        self._open = False
        self._owners: Counter[str] = Counter()
        self._wanted: Counter[str] = Counter()
        self._arrivals: list[_Guest] = []
        self._changed: set[str] = set()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)
        # The thread's own.
        self._epoll = select.epoll()
        self._epoll.register(self._bell, select.EPOLLIN)
        self._guests: dict[int, _Guest] = {}
        self._waiting_for: dict[str, set[_Guest]] = {}
        self._ends: list[tuple[float, int, _Guest]] = []
        self._numbers = itertools.count()

    def start(self) -> None:
        self._open = True
        self._thread.start()

    def close(self) -> None:
        """Answers everybody with what is true now. Returns when that is done."""
        with self._mutex:
            if not self._open:
                return
            self._open = False
            os.eventfd_write(self._bell, 1)
        self._thread.join()
        self._epoll.close()
        os.close(self._bell)

    def enter(self, connection: socket.socket, hold: Hold, leave: Leave) -> bool:
        """Takes over the connection until it calls `leave`; False when there is no room, and nothing happens."""
        guest = _Guest(connection, hold, leave)
        with self._mutex:
            if not self._open or self._owners.total() >= self._most or self._owners[hold.owner] >= self._each:
                return False
            self._owners[hold.owner] += 1
            self._wanted[hold.arn] += 1
            self._arrivals.append(guest)
            os.eventfd_write(self._bell, 1)
        return True

    def changed(self, arns: Set[str]) -> None:
        """For any thread; cheap while nobody waits for one of these."""
        with self._mutex:
            wanted = arns & self._wanted.keys()
            if self._open and wanted:
                self._changed |= wanted
                os.eventfd_write(self._bell, 1)

    # The thread.

    def _run(self) -> None:
        still_open = True
        while still_open:
            spoke = [descriptor for descriptor, _ in self._epoll.poll(self._nap())]
            if self._bell in spoke:
                os.eventfd_read(self._bell)
            with self._mutex:
                arrivals, self._arrivals = self._arrivals, []
                changed, self._changed = self._changed, set()
                still_open = self._open
            for descriptor in spoke:
                if guest := self._guests.get(descriptor):
                    self._try(guest, self._listen)
            for guest in arrivals:
                self._admit(guest)
            for arn in changed:
                for guest in tuple(self._waiting_for.get(arn, ())):
                    self._try(guest, self._look)
            for guest in self._expired() if still_open else tuple(self._guests.values()):
                self._try(guest, self._answer)

    def _nap(self) -> float | None:
        return max(0.0, self._ends[0][0] - time.monotonic()) if self._ends else None

    def _expired(self) -> list[_Guest]:
        now, over = time.monotonic(), []
        while self._ends and self._ends[0][0] <= now:
            guest = heapq.heappop(self._ends)[2]
            if self._guests.get(guest.connection.fileno()) is guest:
                over.append(guest)
        return over

    def _admit(self, guest: _Guest) -> None:
        self._guests[guest.connection.fileno()] = guest
        self._waiting_for.setdefault(guest.hold.arn, set()).add(guest)
        heapq.heappush(self._ends, (time.monotonic() + guest.hold.seconds, next(self._numbers), guest))
        self._epoll.register(guest.connection, select.EPOLLIN)
        self._try(guest, self._look)

    def _try(self, guest: _Guest, step: Callable[[_Guest], None]) -> None:
        """One guest's trouble is nobody else's."""
        try:
            step(guest)
        except OSError as error:
            _LOG.info("an edge's connection was dropped while a request waited: %s", error)
            self._part(guest, After.OVER)
        except Exception:
            _LOG.exception("a request that waited for %s failed", guest.hold.arn)
            self._part(guest, After.OVER)

    def _listen(self, guest: _Guest) -> None:
        """The edge speaks of a request that waits: its client has gone, or it wants the answer now."""
        frame = receive(guest.connection)
        if frame == (Frame.RELEASE, b""):
            self._answer(guest)
        else:
            self._part(guest, After.OVER)

    def _look(self, guest: _Guest) -> None:
        response = guest.hold.look()
        if response is not None:
            self._send(guest, response)
        elif not guest.told:
            guest.told = True
            guest.connection.sendall(pack(Frame.HELD))

    def _answer(self, guest: _Guest) -> None:
        self._send(guest, guest.hold.answer())

    def _send(self, guest: _Guest, response: Response) -> None:
        self._forget(guest)
        send(guest.connection, response)
        guest.leave(guest.connection, After.AGAIN)

    def _part(self, guest: _Guest, after: After) -> None:
        self._forget(guest)
        guest.leave(guest.connection, after)

    def _forget(self, guest: _Guest) -> None:
        descriptor = guest.connection.fileno()
        if self._guests.get(descriptor) is not guest:
            return
        del self._guests[descriptor]
        self._epoll.unregister(descriptor)
        self._waiting_for[guest.hold.arn].discard(guest)
        with self._mutex:
            _uncount(self._owners, guest.hold.owner)
            _uncount(self._wanted, guest.hold.arn)
        if not self._waiting_for[guest.hold.arn]:
            del self._waiting_for[guest.hold.arn]


def _uncount(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
