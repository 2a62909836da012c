"""The edge's end of the frames to the control plane: pooled connections, one exchange at a time on each."""

from __future__ import annotations

import asyncio
import select
from collections import deque
from typing import Protocol, cast

from clary.server.frames import HEADER, LONGEST, PIECE, Frame, pack

PATIENCE_SECONDS = 10.0  # how long a request waits for a control plane that is being restarted, or for a free link
_RETRY_SECONDS = 0.05
_RELEASE = pack(Frame.RELEASE)


class LinkUser(Protocol):
    """Who has a link: told of each frame, of back-pressure, and of the loss of the link (nothing follows it)."""

    def linked(self, link: Link) -> None: ...

    def unavailable(self) -> None:
        """No link could be had in time; `linked` was never called."""

    def link_frame(self, kind: int, payload: bytes) -> None:
        """A whole frame, other than DATA."""

    def link_data(self, data: bytes) -> None: ...

    def link_flush(self) -> None:
        """All frames that have come are delivered; what was held to be sent as one may go."""

    def link_lost(self) -> None: ...

    def link_pause(self) -> None: ...

    def link_resume(self) -> None: ...


class Link(asyncio.Protocol):
    """One connection to the control plane. `user` is whoever has taken it from its pool."""

    def __init__(self, pool: LinkPool) -> None:
        self.user: LinkUser | None = None
        self.transport: asyncio.Transport
        self._pool = pool
        self._kept = b""
        self._hangup = select.poll()
        self._left = 0  # of the DATA payload that is coming

    def send(self, frames: bytes) -> None:
        self.transport.write(frames)

    def send_data(self, data: bytes) -> None:
        if len(data) <= PIECE:
            self.transport.writelines((HEADER.pack(Frame.DATA, len(data)), data))
            return
        for at in range(0, len(data), PIECE):
            self.transport.write(pack(Frame.DATA, data[at : at + PIECE]))

    def release(self) -> None:
        """The exchange is over: the link may serve another."""
        self.user = None
        self._pool.released(self)

    def hold(self) -> None:
        """The answer will be late: until it comes the link does not count among those of its pool."""
        self._pool.held(self)

    def close(self) -> None:
        self.user = None
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._hangup.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)

    def is_open(self) -> bool:
        """False once the other side has ended, be it just now: the loop tells of it (`connection_lost`) later."""
        return not self._hangup.poll(0)

    def connection_lost(self, _: Exception | None) -> None:
        self._pool.lost(self)
        user, self.user = self.user, None
        if user:
            user.link_lost()

    def pause_writing(self) -> None:
        if self.user:
            self.user.link_pause()

    def resume_writing(self) -> None:
        if self.user:
            self.user.link_resume()

    def data_received(self, data: bytes) -> None:
        if self._kept:
            data, self._kept = self._kept + data, b""
        at, size = 0, len(data)
        while at < size:
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                if self.user:
                    self.user.link_data(piece)
                continue
            if size - at < HEADER.size:
                break
            kind, length = HEADER.unpack_from(data, at)
            if length > LONGEST:
                self.transport.abort()
                return
            if kind == Frame.DATA:
                self._left = length
                at += HEADER.size
                continue
            end = at + HEADER.size + length
            if end > size:
                break
            if self.user:
                self.user.link_frame(kind, data[at + HEADER.size : end])
            at = end
        self._kept = data[at:]
        if self.user:
            self.user.link_flush()


class LinkPool:
    """At most `limit` links to the socket at `path`, and those whose answers the control plane holds. Users that find
    none free wait in order, `patience` seconds."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: str, limit: int, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._loop = loop
        self._path = path
        self._limit = limit
        self._patience = patience
        self._idle: list[Link] = []
        self._links: set[Link] = set()
        self._held: set[Link] = set()
        self._releasing = False
        self._waiting: deque[tuple[LinkUser, float]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, user: LinkUser, patient: bool = True) -> None:
        """Calls `user.linked`, now when a link is free; or `user.unavailable` later: who is not patient hears it with
        the first connection that fails."""
        while self._idle:
            link = self._idle.pop()
            if link.is_open():
                link.user = user
                user.linked(link)
                return
        self._waiting.append((user, self._loop.time() + (self._patience if patient else 0.0)))
        self._open_more()
        if self._timer is None:
            self._timer = self._loop.call_later(self._patience / 20, self._expire)

    def cancel(self, user: LinkUser) -> None:
        """`user` waits no longer."""
        self._waiting = deque(each for each in self._waiting if each[0] is not user)

    def held(self, link: Link) -> None:
        if self._releasing:
            link.send(_RELEASE)
        self._held.add(link)
        self._open_more()

    def release_held(self) -> None:
        """Asks for all answers that are held, now and from here on."""
        self._releasing = True
        for link in self._held:
            link.send(_RELEASE)

    def released(self, link: Link) -> None:
        self._held.discard(link)
        if link not in self._links:
            return
        if self._busy() > self._limit:  # others took its place while it was held
            link.close()
        elif self._waiting:
            user, _ = self._waiting.popleft()
            link.user = user
            user.linked(link)
        else:
            self._idle.append(link)

    def lost(self, link: Link) -> None:
        self._links.discard(link)
        self._held.discard(link)
        if link in self._idle:
            self._idle.remove(link)
        self._open_more()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        for task in self._opening:
            task.cancel()
        for link in tuple(self._links):
            link.transport.abort()

    def _busy(self) -> int:
        return len(self._links) + len(self._opening) - len(self._held)

    def _open_more(self) -> None:
        if len(self._waiting) > len(self._opening) and self._busy() < self._limit:
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        """Until there is a link or nobody waits: the control plane may be on its way up."""
        while self._waiting:
            try:
                _, link = await self._loop.create_unix_connection(lambda: Link(self), self._path)
            except OSError:
                self._dismiss()
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._links.add(link)
            self.released(link)
            return

    def _expire(self) -> None:
        self._timer = None
        self._dismiss()
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(self._patience / 20, self._expire)

    def _dismiss(self) -> None:
        """Tells those whose time is over."""
        now = self._loop.time()
        over = [user for user, end in self._waiting if end <= now]
        if over:
            self._waiting = deque(each for each in self._waiting if each[1] > now)
        for user in over:
            user.unavailable()
