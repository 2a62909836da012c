"""InvokeEndpoint at the port: which requests are invocations, and their bodies, collected for the gateway."""

from __future__ import annotations

from functools import lru_cache

from clary.edge.exchange import Exchange
from clary.edge.heads import Head
from clary.serving import model_errors
from clary.serving.gateway import Gateway, refuse

_START, _END = "/endpoints/", "/invocations"
_SCOPE = "/sagemaker/aws4_request"
_BUDGET = 64  # bodies of the largest size that may be in memory at once


class Budget:
    """Bytes of request bodies in memory, over all connections of an edge."""

    def __init__(self, largest: int) -> None:
        self.left = largest * _BUDGET


class Invocation:
    """The consumer of one invocation, and the call that the gateway gets."""

    __slots__ = ("_budget", "_endpoint", "_exchange", "_gateway", "_pieces", "_size", "content", "head")

    def __init__(self, exchange: Exchange, endpoint: str, gateway: Gateway, budget: Budget) -> None:
        self.head: Head = exchange.head
        self.content = b""
        self._exchange = exchange
        self._endpoint = endpoint
        self._gateway = gateway
        self._budget = budget
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def source(self) -> tuple[str, str]:
        return self._exchange.scheme, self._exchange.peer

    def begin(self) -> None:
        """Refuses what is too large at once, or asks for the body."""
        length = self.head.length
        if length is not None and length > self._gateway.limit:
            refuse(self, model_errors.too_large(self._gateway.limit))
        elif self.head.expects_continue:
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


def endpoint_of(head: Head) -> str | None:
    """The endpoint's name when the request is an invocation that the gateway serves."""
    name = _endpoint_in(head.target)
    if name is None or head.method != "POST" or _SCOPE not in head.first("authorization"):
        return None
    return name


@lru_cache(maxsize=64)
def _endpoint_in(target: str) -> str | None:
    path = target.partition("?")[0]
    name = path[len(_START) : -len(_END)]
    return name if name and path.startswith(_START) and path.endswith(_END) and "/" not in name else None
