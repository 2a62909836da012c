"""What the control plane is told of a request."""

from __future__ import annotations

from typing import Any

from clary.edge.exchange import Exchange


def may_repeat(exchange: Exchange) -> bool:
    """A read without a body. The query protocol may ask for anything by GET, S3 only to read."""
    head = exchange.head
    return head.method in ("GET", "HEAD") and head.length == 0 and "Action=" not in head.target


def described(exchange: Exchange) -> dict[str, Any]:
    """The payload of a REQUEST frame."""
    head = exchange.head
    return {
        "method": head.method,
        "target": head.target,
        "headers": head.pairs(),
        "scheme": exchange.scheme,
        "peer": exchange.peer,
        "length": head.length,
        "expect": head.expects_continue,
        "lands": exchange.scheme == "http" and bool(head.length),
        "files": head.length == 0,  # else the answers to them would mix with the body
    }
