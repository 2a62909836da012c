"""InvokeEndpoint at the port: which requests are invocations, and their bodies, collected for the gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clary.edge.exchange import Exchange
from clary.serving import model_errors
from clary.serving.gateway import Gateway, refuse
from clary.wire.messages import BytesBody, Headers, Request

_PATH = re.compile(rb"/endpoints/([^/?]+)/invocations")
_SCOPE = b"/sagemaker/aws4_request"
_BUDGET = 64  # bodies of the largest size that may be in memory at once


class Budget:
    """Bytes of request bodies in memory, over all connections of an edge."""

    def __init__(self, largest: int) -> None:
        self.left = largest * _BUDGET


class Invocation:
    """The consumer of one invocation, and the call that the gateway gets."""

    def __init__(self, exchange: Exchange, endpoint: str, gateway: Gateway, budget: Budget) -> None:
        self.content = b""
        self._exchange = exchange
        self._endpoint = endpoint
        self._gateway = gateway
        self._budget = budget
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def index(self) -> Mapping[bytes, bytes]:
        return self._exchange.head.index

    @property
    def request(self) -> Request:
        head = self._exchange.head
        headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers])
        body, scheme = BytesBody(self.content), self._exchange.scheme
        return Request(head.method.decode("ascii"), head.target.decode("latin-1"), headers, body, scheme)

    def begin(self) -> None:
        """Refuses what is too large at once, or asks for the body."""
        length = self._exchange.head.length
        if length is not None and length > self._gateway.limit:
            refuse(self, model_errors.too_large(self._gateway.limit))
        else:
            self._exchange.send_continue()

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        self._release()
        self._exchange.send(status, lines, body)

    # What the connection calls.

    def body(self, data: bytes) -> None:
        self._size += len(data)
        self._budget.left -= len(data)
        self._pieces.append(data)
        if self._size > self._gateway.limit:
            refuse(self, model_errors.too_large(self._gateway.limit))
        elif self._budget.left < 0:
            refuse(self, model_errors.unavailable("Too many large requests at once. Please try again."))

    def body_end(self) -> None:
        self.content = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._gateway.invoke(self, self._endpoint)

    def client_gone(self) -> None:
        # The model goes on with what it was given; a body that never became a call is dropped here.
        if not self.content:
            self._release()

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def _release(self) -> None:
        self._budget.left += self._size
        self._size = 0
        self._pieces.clear()


def endpoint_of(exchange: Exchange) -> str | None:
    """The endpoint's name when the request is an invocation that the gateway serves."""
    head = exchange.head
    if head.method != b"POST" or not head.target.startswith(b"/endpoints/"):
        return None
    if _SCOPE not in head.index.get(b"authorization", b""):
        return None
    found = _PATH.fullmatch(head.target.partition(b"?")[0])
    return found.group(1).decode("latin-1") if found else None
