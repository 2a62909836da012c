"""Who is at the other end of a connection."""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

_HERE = "127.0.0.1"  # whose connection to a unix socket is
_JOB = "a job"  # of whom its relay says no more
_NETWORK = 64  # bits: what of an IPv6 address one subscriber has by custom; the rest of it is anybody's to choose


class Peer(NamedTuple):
    """`address`: its IP address, this machine's for a job. `share`: with whom it has a share of an edge's connections;
    "" for the machine's own addresses, from which proxies come too, and which are not held to one."""

    address: str
    share: str

    @classmethod
    def of(cls, accepted: Any) -> Peer:
        """`accepted` is what came with the connection. Relays come from an address that names their job: its part
        before the last slash (clary.sandbox.relay)."""
        if isinstance(accepted, bytes):
            return cls(_HERE, accepted.rpartition(b"/")[0].decode(errors="replace"))
        if isinstance(accepted, str):
            return cls(_HERE, _JOB)
        address: str = accepted[0]
        return cls(address, _share(address))


def _share(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return "" if address.is_loopback else str(ipaddress.ip_network((address, _NETWORK), strict=False))
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)
