"""The port as an HTTP proxy: AWS's addresses come home, other hosts are tunnelled untouched. Loopback peers only.

Jobs, who come by a socket of their own, are taken to AWS's addresses alone."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable

from clary.edge.connection import ClientConnection
from clary.edge.heads import BadRequestError, Head
from clary.edge.peer import Peer
from clary.edge.tunnel import open_tunnel

_OURS = ("amazonaws.com", "amazonaws.com.cn")
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_HOP_BY_HOP = frozenset(("connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "upgrade"))

Adopt = Callable[[socket.socket, Peer], None]


class Proxy:
    """`takeover` is offered each head of each connection. `adopt` serves a connected socket as if it had come in at the
    port: whether it speaks TLS shows with its first byte. `elsewhere`: whether other hosts are tunnelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop, adopt: Adopt, *, elsewhere: bool = True) -> None:
        self._loop = loop
        self._adopt = adopt
        self._elsewhere = elsewhere
        self._tunnels: set[asyncio.Task[None]] = set()

    def takeover(self, connection: ClientConnection, head: Head, rest: bytes) -> bool:
        """True when the connection is no longer the caller's. An http:// target of ours becomes a path in `head`.
        Raises BadRequestError."""
        if head.method == "CONNECT":
            host, port = _authority(head.target, None)
            _admit(connection)
            if _is_ours(host):
                self._come_home(connection, port, rest)
            else:
                self._tunnel(connection, host, port, None, rest)
            return True
        if head.target[:1] == "/" or head.target[:7].lower() != "http://":
            return False
        authority, slash, path = head.target[7:].partition("/")
        host, port = _authority(authority, 80)
        _admit(connection)
        target = slash + path or "/"
        if _is_ours(host):
            if "host" in head.fields and head.first("host").lower() != authority.lower():
                raise BadRequestError("the Host header is not the host of the request target")
            head.target = target
            return False
        self._tunnel(connection, host, port, _origin_form(head, target, authority), rest)
        return True

    def close(self) -> None:
        for task in self._tunnels:
            task.cancel()

    def _come_home(self, connection: ClientConnection, port: int, rest: bytes) -> None:
        if port not in (80, 443) or rest or connection.scheme != "http":
            raise BadRequestError("a tunnel to AWS is to port 443 or 80, begins after the answer, and is not nested")
        # A transport cannot be turned to TLS on every loop without losing bytes; a second descriptor of its socket can
        # take the usual way in.
        transport = connection.transport
        transport.pause_reading()
        known: socket.socket = transport.get_extra_info("socket")
        again = socket.socket(fileno=os.dup(known.fileno()))
        again.setblocking(False)
        transport.abort()
        try:
            again.send(_ESTABLISHED)  # the first bytes on this socket: its buffer has room
        except OSError:
            again.close()
            return
        self._adopt(again, connection.peer)

    def _tunnel(self, connection: ClientConnection, host: str, port: int, first: bytes | None, rest: bytes) -> None:
        if not self._elsewhere:
            raise BadRequestError("jobs reach AWS's addresses alone, no other host", 403)
        transport = connection.transport
        transport.pause_reading()
        work = open_tunnel(
            self._loop, transport, host, port, _ESTABLISHED if first is None else b"", (first or b"") + rest
        )
        task = self._loop.create_task(work)
        self._tunnels.add(task)
        task.add_done_callback(self._tunnels.discard)


def _admit(connection: ClientConnection) -> None:
    """A port that others can reach must not be their way to where they cannot go."""
    try:
        loopback = ipaddress.ip_address(connection.peer.address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise BadRequestError("only clients on this machine may use Clary as a proxy", 403)


def _is_ours(host: str) -> bool:
    return any(host == zone or host.endswith("." + zone) for zone in _OURS)


def _authority(text: str, default: int | None) -> tuple[str, int]:
    """(host, port) of `host:port`; IPv6 addresses stand in brackets. Raises BadRequestError."""
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, ""
    if "@" in text or not host or (not port and default is None):
        raise BadRequestError("the request target names no host and port")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise BadRequestError("the request target names no port")
    return host.strip("[]").lower().rstrip("."), int(port) if port else default or 0


def _origin_form(head: Head, target: str, authority: str) -> bytes:
    """The head for the server itself. One request only: the connection ends with its answer."""
    kept = [(name, value) for name, value in head.pairs() if name.lower() not in _HOP_BY_HOP | {"host"}]
    lines = [f"{head.method} {target} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in kept]
    return "\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1")
