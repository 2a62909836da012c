"""The agent's end of the agent link: a thread that claims, sends what the spool holds, and hears orders."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import threading
import time

from clary.agent.failures import ClientFailure
from clary.agent.orders import Orders
from clary.agent.spool import Spool
from clary.contract.instance import Credentials, InstanceSpec
from clary.contract.link import (
    LONGEST_LINE,
    Acknowledged,
    Claim,
    Claimed,
    Holder,
    Lend,
    Lent,
    MessageError,
    Refresh,
    Refused,
    Renewed,
    Session,
    Stop,
    decode,
    encode,
)

_WINDOW = 256 * 1024  # bytes sent and not acknowledged; bounds what both ends hold in their sockets
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0  # seconds between two tries to connect
_EARLY = 1200.0  # seconds before their end at which credentials are renewed: SDKs inside ask anew 900 before it
_DENIED = 5.0  # seconds until a session that was denied to a job is asked for anew
_ANSWER = 30.0  # seconds without an answer after which a connection counts as dead


def _ends_soon(session: Credentials | None) -> bool:
    return session is not None and session.expires - time.time() < _EARLY


class Link:
    """Never gives up: a server that is away is tried again until the agent ends."""

    def __init__(self, spec: InstanceSpec, spool: Spool, orders: Orders) -> None:
        self._spec = spec
        self._spool = spool
        self._orders = orders
        self._more = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._changed = threading.Condition()
        self._sessions: dict[Holder, Session] = {"agent": Session(None), "job": Session(None)}
        self._wanted: set[Holder] = set()  # whose session has to be a new one
        self._asked: set[Holder] = set()  # of these, on the present connection
        self._denied_until = 0.0  # on the monotonic clock
        self._due = math.inf  # on the monotonic clock
        self.endpoint = ""
        """The server's base URL, as it said at the last claim; there are no credentials before that."""

    def start(self) -> None:
        """The first claim goes out before the thread is there: the instance waits for its answer."""
        first = self._connect()
        threading.Thread(target=self._run, args=(first,), name="link", daemon=True).start()

    def wake(self, within: float = 0.0) -> None:
        """There is more in the spool, to be sent after at most so many seconds, or together with what is sooner."""
        with self._changed:
            self._due = min(self._due, time.monotonic() + within)
        os.eventfd_write(self._more, 1)

    def waits(self) -> float:
        """Seconds until what is in the spool has to be sent; inf when nobody asked for that."""
        return self._due - time.monotonic()

    def take_due(self) -> bool:
        """Whether it has to be sent now; what is asked for after this call counts anew."""
        with self._changed:
            due = self._due <= time.monotonic()
            self._due = math.inf if due else self._due
        return due

    def credentials(self, refresh: bool = False) -> Credentials | None:
        """The role's session for the agent, waiting for one while the server is away; None when the instance is not
        wanted any more. Raises ClientFailure when the role gives none."""
        with self._changed:
            old = self._sessions["agent"].credentials
            if refresh or _ends_soon(old):
                self._want("agent")
            return self._await("agent", stale=old if refresh else None)

    def lent(self) -> Credentials | None:
        """The same for the job's own code, asked for when it is first wanted. A denial is good for some seconds."""
        with self._changed:
            old = self._sessions["job"]
            if old.denied and time.monotonic() >= self._denied_until:
                old = self._sessions["job"] = Session(None)
            if not old.denied and (old.credentials is None or _ends_soon(old.credentials)):
                self._want("job")
            return self._await("job")

    def _want(self, holder: Holder) -> None:
        self._wanted.add(holder)
        self.wake()

    def _await(self, holder: Holder, stale: Credentials | None = None) -> Credentials | None:
        while (now := self._sessions[holder]).credentials is None or now.credentials is stale:
            if now.denied:
                raise ClientFailure(now.denied)
            gone = self._orders.down or self._orders.refused
            if gone or (self._orders.stop and now.credentials is None):
                break
            self._changed.wait(0.2)
        return self._sessions[holder].credentials

    def _run(self, first: socket.socket | None) -> None:
        pause, connection = _SHORTEST_PAUSE, first
        while not self._orders.refused:
            if connection is not None:
                pause = _SHORTEST_PAUSE
                with connection, contextlib.suppress(OSError, MessageError):
                    _Exchange(connection, self._spool, self._more, self).run()
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            connection = self._connect()

    def _connect(self) -> socket.socket | None:
        """A connection on which the instance was claimed; None while the server is away."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_ANSWER)
            connection.connect(self._spec.link)
            connection.sendall(encode(Claim(self._spec.id, self._spec.token)))
        except OSError:
            connection.close()
            return None
        with self._changed:
            self._wanted.discard("agent")  # the answer brings one
            self._asked.clear()
        return connection

    def take_wanted(self) -> set[Holder]:
        """Whose sessions are to be asked for now."""
        with self._changed:
            found = self._wanted - self._asked
            self._asked |= found
            return found

    def hear(self, line: bytes) -> None:
        match decode(line):
            case Claimed(endpoint, session, stop):
                self.endpoint = endpoint
                self._set("agent", session)
                if stop:
                    self._orders.ask_stop()
            case Renewed(session):
                self._set("agent", session)
            case Lent(session):
                self._denied_until = time.monotonic() + _DENIED
                self._set("job", session)
            case Acknowledged(position):
                self._spool.acknowledge(position)
            case Stop():
                self._orders.ask_stop()
            case Refused(reason):
                self._orders.refuse(reason)
                raise ConnectionError(reason)
            case other:
                raise MessageError(f"{type(other).__name__} is not for an agent")

    def _set(self, holder: Holder, session: Session) -> None:
        with self._changed:
            self._sessions[holder] = session
            self._wanted.discard(holder)
            self._asked.discard(holder)
            self._changed.notify_all()


class _Exchange:
    """One connection, from after the claim to its end."""

    def __init__(self, connection: socket.socket, spool: Spool, more: int, link: Link) -> None:
        self._connection = connection
        self._spool = spool
        self._more = more
        self._link = link
        self._sent = spool.acknowledged
        self._goal = spool.end
        self._buffer = bytearray()
        self._claimed = False

    def run(self) -> None:
        """Until the connection breaks (OSError)."""
        while True:
            if self._claimed:
                self._send()
            waiting = not self._claimed or self._sent > self._spool.acknowledged
            timeout = min(_ANSWER if waiting else math.inf, max(0.0, self._link.waits()) if self._claimed else math.inf)
            watched: list[socket.socket | int] = [self._connection, self._more]
            ready = select.select(watched, [], [], None if timeout == math.inf else timeout)[0]
            if not ready and timeout == _ANSWER:
                raise ConnectionError("the control plane does not answer")
            if self._more in ready:
                os.eventfd_read(self._more)
            if self._connection in ready:
                self._receive()

    def _send(self) -> None:
        for holder in self._link.take_wanted():
            self._connection.sendall(encode(Refresh() if holder == "agent" else Lend()))
        if self._link.take_due():
            self._goal = self._spool.end
        while self._sent < self._goal and self._sent - self._spool.acknowledged < _WINDOW:
            data = self._spool.read(self._sent, _WINDOW)
            self._connection.sendall(data)
            self._sent += len(data)

    def _receive(self) -> None:
        data = self._connection.recv(65536)
        if not data:
            raise ConnectionError("the control plane closed")
        self._buffer += data
        if len(self._buffer) > LONGEST_LINE:
            raise MessageError("a message without end")
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            self._link.hear(line)
            self._claimed = True
