"""The edge as a whole: its parts, put together in the order a request meets them, and its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from clary.edge.connection import ClientConnection
from clary.edge.control import LinkPool
from clary.edge.deadlines import Deadlines
from clary.edge.directory import ControlDirectory
from clary.edge.exchange import Consumer, Exchange
from clary.edge.files import Files
from clary.edge.forward import Forward
from clary.edge.gathering import Gathering, Memory, has_to_come_first
from clary.edge.invocation import Budget, Invocation, endpoint_of
from clary.edge.listener import Listener
from clary.edge.peer import Peer
from clary.edge.proxy import Proxy
from clary.edge.replies import Dates
from clary.edge.tls import LateContext
from clary.server.frames import questions_socket
from clary.serving.gateway import Gateway
from clary.serving.signature import Signatures

log = logging.getLogger(__name__)

_REQUEST_LINKS = 256  # exchanges with the control plane at once; further requests wait their turn
_QUESTION_LINKS = 4  # to a socket of their own, so that a question never waits behind uploads


@dataclass(frozen=True, slots=True)
class Options:
    """`listening` is the descriptor of a listening socket, `jobs` that of the unix socket for jobs (None where there
    are none); `control` the control plane's socket; `secrets` the folder of the certificate authority; `names` further
    host names of this server; `payload_limit` in bytes, the others in seconds: `clock_window` for signatures, `grace`
    for running requests at the end. `connections` is how many clients' there are at once."""

    listening: int
    jobs: int | None
    control: Path
    secrets: Path
    names: tuple[str, ...]
    payload_limit: int
    clock_window: float
    grace: float
    connections: int


class Edge:
    """Everything of one edge, on the running loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Options) -> None:
        self.deadlines = Deadlines(loop)
        self.dates = Dates()
        self._requests = LinkPool(loop, str(options.control), _REQUEST_LINKS)
        self._questions = LinkPool(loop, str(questions_socket(options.control)), _QUESTION_LINKS)
        signatures = Signatures(options.clock_window, time.time)
        directory = ControlDirectory(self._questions)
        self.gateway = Gateway(directory, signatures, options.payload_limit)
        self._files = Files(directory.damaged)
        self._budget = Budget(options.payload_limit)
        self._memory = Memory()
        context = LateContext(loop, options.secrets, options.names)
        listening = [socket.socket(fileno=each) for each in (options.listening, options.jobs) if each is not None]
        self._doors = [_Door(loop, each, context, self, options.connections) for each in listening]
        self._grace = options.grace

    def start(self) -> None:
        for each in self._doors:
            each.listener.start()

    async def stop(self) -> None:
        """Takes no more connections, lets running requests end within the grace time, then cuts them off."""
        for each in self._doors:
            each.listener.stop()
        self.deadlines.stop()
        self._requests.release_held()
        try:
            async with asyncio.timeout(self._grace):
                await self.deadlines.empty.wait()
        except TimeoutError:
            log.warning("requests still ran after %.0f s and are cut off", self._grace)
        self.deadlines.close()
        for each in self._doors:
            each.proxy.close()
        self.gateway.close()
        self._requests.close()
        self._questions.close()

    def dispatch(self, exchange: Exchange) -> Consumer:
        endpoint = endpoint_of(exchange.head)
        if endpoint is not None:
            invocation = Invocation(exchange, endpoint, self.gateway, self._budget)
            invocation.begin()
            return invocation
        if has_to_come_first(exchange):
            return Gathering(exchange, self._memory, lambda: self._forward(exchange))
        return self._forward(exchange)

    def _forward(self, exchange: Exchange) -> Forward:
        forward = Forward(exchange, self._requests, self._files)
        forward.begin()
        return forward


class _Door:
    """A listening socket, and the proxy that those are who come in there. Jobs come to their own, which takes them
    nowhere but here."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listening: socket.socket, context: LateContext, edge: Edge, most: int
    ) -> None:
        self._edge = edge
        self.listener = Listener(loop, listening, context, self._make, edge.deadlines, most)
        self.proxy = Proxy(loop, self.listener.adopt, elsewhere=listening.family != socket.AF_UNIX)

    def _make(self, scheme: str, peer: Peer) -> ClientConnection:
        edge = self._edge
        return ClientConnection(scheme, peer, edge.dispatch, self.proxy.takeover, edge.deadlines, edge.dates)


async def serve(options: Options) -> None:
    """Runs an edge until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    edge = Edge(loop, options)
    edge.start()
    await ended.wait()
    await edge.stop()
