"""The network of a container: a namespace with nothing but its own loopback, made before the container is."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from clary.agent.cell import let_go
from clary.agent.failures import InternalFailure
from clary.sandbox import listening, relay, syscalls
from clary.sandbox.listening import Address

_MOST_ASKED = 512  # connections at once
_LOWEST_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")  # of the namespace that one is in


class Surroundings:
    """It is there for as long as a thread of this process is in it. `handed` are sockets that listen in it, at the
    `addresses`. `path` is where container engines find it. Raises InternalFailure.

    With a `model` socket, whoever asks there is led to `port` of the namespace: to the model server of a container.
    With the descriptor of a `network` it is the one behind that, of another host of the job."""

    def __init__(
        self, addresses: Sequence[Address], model: Path | None = None, port: int = 0, network: Sequence[int] = ()
    ) -> None:
        self._addresses = addresses
        self._port = port
        self._network = network
        self._made, self._over = threading.Event(), threading.Event()
        self._problem: OSError | None = None
        self.path = ""
        self.handed: tuple[socket.socket, ...] = ()
        self._asked: socket.socket | None = None
        if model is not None:
            self._asked = socket.socket(socket.AF_UNIX)
            self._asked.bind(str(model))
            self._asked.listen(relay.BACKLOG)
        threading.Thread(target=self._live, name="container-network", daemon=True).start()
        self._made.wait()
        if self._problem is not None:
            raise InternalFailure(f"The container's network could not be made: {self._problem}") from self._problem

    def open(self) -> int:
        """A descriptor of the namespace, for the job's other hosts; its taker's to close."""
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """The sockets in `handed` are their taker's to close."""
        self._over.set()
        if self._asked is not None:
            let_go([self._asked])

    def _live(self) -> None:
        """Threads that a thread starts are in its namespace: those of the relay too."""
        try:
            if self._network:
                syscalls.setns(self._network[0], syscalls.CLONE_NEWNET)
            else:
                syscalls.unshare(syscalls.CLONE_NEWNET)
                syscalls.loopback_up()
            _LOWEST_PORT.write_text("0")  # root of a container may take any, as it is used to
            self.handed = tuple(listening.listen(self._addresses))
            self.path = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
        except OSError as problem:
            self._problem = problem
            return
        finally:
            self._made.set()
        if self._asked is not None:
            relay.relay(self._asked, ("127.0.0.1", self._port), _MOST_ASKED)
        self._over.wait()
