"""Bodies without which nobody can tell whose request it is: they come here, where waiting costs no thread.

A signature of S3 is in the head. Other services' signatures cover the body, a form's proof is in the form, and a
request without any proof may never go on. The control plane is given such a request when its body is whole, or when
enough of it has come that only somebody who has something to upload sends more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from urllib.parse import unquote

from clary.edge.exchange import Consumer, Exchange
from clary.edge.heads import Head

ENOUGH = 256 * 1024  # bytes; the fields of a form before its file may be 20 KiB
_SECONDS = 30.0  # for all of them
_MOST = 64 * 1024 * 1024  # bytes in memory; whoever comes beyond that goes on as he is
_IN_HEADER = re.compile(r"Credential=[^,/]+/[^,/]+/[^,/]+/s3/aws4_request")


class Memory:
    """Bytes that the gatherings of one edge may still hold."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MOST


class Gathering:
    """The consumer of an exchange until its body is enough; then `go_on` makes and begins the next, which gets all."""

    __slots__ = ("_exchange", "_go_on", "_memory", "_pieces", "_size", "_timer")

    def __init__(self, exchange: Exchange, memory: Memory, go_on: Callable[[], Consumer]) -> None:
        self._exchange = exchange
        self._memory = memory
        self._go_on = go_on
        self._pieces: list[bytes] = []
        self._size = 0
        self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._late)

    def body(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        self._memory.left -= len(data)
        if self._size >= ENOUGH or self._memory.left < 0:
            self._hand_over()

    def body_end(self) -> None:
        self._hand_over().body_end()

    def client_gone(self) -> None:
        self._end()

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def _hand_over(self) -> Consumer:
        pieces = self._end()
        consumer = self._exchange.consumer = self._go_on()
        if pieces:
            consumer.body(b"".join(pieces))
        return consumer

    def _late(self) -> None:
        self._end()
        self._exchange.refuse(408, "RequestTimeout", "The request body did not come in time.")

    def _end(self) -> list[bytes]:
        self._timer.cancel()
        self._memory.left += self._size
        pieces, self._pieces, self._size = self._pieces, [], 0
        return pieces


def has_to_come_first(exchange: Exchange) -> bool:
    """Whether a body that is not whole is to be gathered. One that its client holds back is not: the answer may be that
    nobody wants it."""
    head = exchange.head
    if exchange.body is None or head.expects_continue:
        return False
    is_form = head.method == "POST" and head.first("content-type").lower().startswith("multipart/form-data")
    return is_form or not _claims_s3(head)


def _claims_s3(head: Head) -> bool:
    """Whether the head holds what the control plane takes for a proof of S3, and refuses or accepts as it stands."""
    authorization = head.first("authorization")
    if authorization:
        return authorization.count("aws4_request") == 1 and _IN_HEADER.search(authorization) is not None
    query = head.target.partition("?")[2]
    if "X-Amz-Credential=" in query:
        credential = unquote(query.partition("X-Amz-Credential=")[2].partition("&")[0])
        return len(credential.split("/")) == 5 and credential.endswith("/s3/aws4_request")
    return "AWSAccessKeyId=" in query
