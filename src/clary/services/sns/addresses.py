"""Where endpoints may be: a host is resolved once, and what is connected to is what was looked at."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from clary.config import Settings

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Found = tuple[int, int, int, Any]  # family, kind, protocol, and the address as that family has it

# Unspecified, link-local (where clouds tell a machine its credentials), multicast and reserved; Amazon's of IPv6.
_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128")
)
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # NAT64: IPv4 within IPv6


class Refused(OSError):
    """No address of the host may be connected to."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What is not connected to: `denied`, what nobody may, and `own`, the server's port on this machine."""

    denied: tuple[_Network, ...] = ()
    own: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Reach:
        return cls(settings.sns_denied, settings.port)

    def connect(self, host: str, port: int, seconds: float) -> socket.socket:
        """To the first of the host's addresses that answers, within `seconds` for all of them and for looking them up.
        Raises OSError: Refused when none of them may be."""
        until, failed = time.monotonic() + seconds, None
        for family, kind, protocol, where in _looked_up(host, port, seconds):
            if not self._allows(str(where[0]), port):
                continue
            opened = socket.socket(family, kind, protocol)
            try:
                opened.settimeout(max(until - time.monotonic(), 0.001))
                opened.connect(where)
                opened.settimeout(seconds)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return opened
            except OSError as error:
                opened.close()
                failed = error
        raise failed or Refused(f"{host} is at an address that is not connected to")

    def _allows(self, text: str, port: int) -> bool:
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
        if any(address in network for network in (*_NEVER, *self.denied)):
            return False
        return port != self.own or not _is_ours(address)


def _looked_up(host: str, port: int, seconds: float) -> list[_Found]:
    """Raises OSError, and UnicodeError for a host that can have no address. The system's look-up has no limit that a
    caller could set: one that takes longer goes on in a thread of its own, until the resolver gives up."""
    answers: queue.SimpleQueue[list[_Found] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(family, kind, protocol, where) for family, kind, protocol, _, where in found])
        except Exception as error:  # it is raised where it is waited for
            answers.put(error)

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"{host} was not looked up within {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _plain(address: _Address) -> _Address:
    """The IPv4 address that one of IPv6 stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _is_ours(address: _Address) -> bool:
    """Whether this machine has it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
