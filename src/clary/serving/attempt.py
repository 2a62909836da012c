"""One invocation on its way to a model server: its turn, its connection, its time limit, its answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from clary.errors import ServiceError
from clary.serving import model_errors
from clary.serving.fleet import Instance, VariantFleet, connect
from clary.serving.model_connection import ModelConnection
from clary.serving.request_ids import request_id
from clary.wire.messages import RequestHead

_SHUN_SECONDS = 1.0  # an instance that refused a connection is asked last for so long
_MOST_WAITING = 1000  # invocations of a variant that wait for their turn; the next one is throttled
_NO_INSTANCE = "The endpoint has no instance that can take the request. Please try again."
_PASSED_ON = (
    ("content-type", "Content-Type"),
    ("accept", "Accept"),
    ("x-amzn-sagemaker-custom-attributes", "X-Amzn-SageMaker-Custom-Attributes"),
    ("x-amzn-sagemaker-target-model", "X-Amzn-SageMaker-Target-Model"),
    ("x-amzn-sagemaker-inference-id", "X-Amzn-SageMaker-Inference-Id"),
    ("x-amzn-sagemaker-session-id", "X-Amzn-SageMaker-Session-Id"),
)


class Caller(Protocol):
    """The part of `gateway.Call` that an attempt needs."""

    @property
    def head(self) -> RequestHead: ...

    @property
    def content(self) -> bytes: ...

    def answer(self, status: int, lines: bytes, body: bytes) -> None: ...


class Attempt:
    """`begin` once; the caller is then answered exactly once. An instance that does not take the connection is passed
    over for the next one, once; after a request was written nothing is sent again."""

    __slots__ = ("_began", "_call", "_connection", "_fleet", "_instance", "_retried", "_sent")

    def __init__(self, call: Caller, fleet: VariantFleet) -> None:
        self._call: Caller | None = call  # None once it is answered
        self._fleet = fleet
        self._began = time.perf_counter()
        self._instance: Instance | None = None
        self._connection: ModelConnection | None = None
        self._retried = False
        self._sent = 0.0

    def begin(self) -> None:
        fleet = self._fleet
        now = fleet.limits.now()
        instance = fleet.pick(now)
        if instance is None and not fleet.instances:
            self._refuse(model_errors.unavailable(_NO_INSTANCE))
        elif instance is None and len(fleet.waiting) >= _MOST_WAITING:
            self._refuse(model_errors.throttled())
        else:
            fleet.limits.add(self, now + fleet.variant.timeout)
            if instance is None:
                fleet.waiting.append(self._turn)
            else:
                self._go(instance)

    # What the model's connection calls.

    def model_answered(self, status: int, lines: bytes, body: bytes) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        answered = time.perf_counter()
        self._fleet.counters.answered(status, answered - self._began, answered - self._sent)
        self._release()
        if 200 <= status < 300:
            call.answer(200, f"x-amzn-RequestId: {request_id()}\r\n{self._fleet.named}".encode("latin-1") + lines, body)
        else:
            _answer(call, self._error(status, body))

    def model_oversized(self) -> None:
        self._fail(model_errors.oversized_answer(self._fleet.place.limit, *self._where()))

    def model_broke(self) -> None:
        self._fail(model_errors.broke_off(*self._where()))

    # On the way.

    def _turn(self) -> None:
        """An instance has room again."""
        instance = self._fleet.pick(self._fleet.limits.now())
        if instance is not None:
            self._go(instance)
        elif self._fleet.instances:
            self._fleet.waiting.appendleft(self._turn)
        else:
            self._refuse(model_errors.unavailable(_NO_INSTANCE))

    def _go(self, instance: Instance) -> None:
        self._instance = instance
        instance.busy += 1
        if instance.idle:
            self._write(instance.idle.pop())
        else:
            self._fleet.run(self._connect(instance))

    async def _connect(self, instance: Instance) -> None:
        try:
            connection = await connect(instance, self._fleet.place.limit)
        except OSError:  # a timeout is one, too
            self._refused(instance)
            return
        if self._call is None:
            instance.freed(connection)
        else:
            self._write(connection)

    def _write(self, connection: ModelConnection) -> None:
        assert self._call is not None
        self._connection = connection
        self._sent = time.perf_counter()
        content = self._call.content
        connection.send(self, _head(self._call.head.fields, len(content)), content)

    def _refused(self, instance: Instance) -> None:
        """The instance does not listen: nothing was sent, so another may be asked."""
        now = self._fleet.limits.now()
        instance.shunned_until = now + _SHUN_SECONDS
        if self._call is None:
            return
        other = None if self._retried else self._fleet.pick(now, instance)
        if other is None:
            self._fail(model_errors.unavailable("No instance of the endpoint took the request. Please try again."))
            return
        self._retried = True
        instance.busy -= 1
        self._go(other)

    def expired(self) -> None:
        """The time is over."""
        if self._instance is None:
            self._fleet.waiting.remove(self._turn)
            self._refuse(model_errors.unavailable("The request waited too long for its turn. Please try again."))
            return
        if self._connection is not None:
            self._connection.close()
        self._fail(model_errors.timed_out(*self._where()))

    # Ending.

    def _fail(self, error: ServiceError) -> None:
        if self._call is not None:
            now = time.perf_counter()
            self._fleet.counters.answered(0, now - self._began, now - self._sent if self._sent else 0.0)
            self._release()
            self._refuse(error)

    def _refuse(self, error: ServiceError) -> None:
        call, self._call = self._call, None
        self._fleet.limits.discard(self)
        if call is not None:
            _answer(call, error)

    def _release(self) -> None:
        """Gives the turn to the next."""
        self._fleet.limits.discard(self)
        if self._instance is not None:
            self._instance.busy -= 1
            if self._fleet.waiting:
                self._fleet.wake()

    def _where(self) -> tuple[str, str, str]:
        place = self._fleet.place
        return place.region, place.account, place.endpoint

    def _error(self, status: int, body: bytes) -> ServiceError:
        if status == 503:
            return model_errors.unavailable("The container answered that it is not available. Please try again.")
        if status == 429:
            return model_errors.model_not_ready()
        return model_errors.model_error(status, body.decode("utf-8", "replace"), *self._where())


def _answer(call: Caller, error: ServiceError) -> None:
    lines, body = model_errors.render(error)
    call.answer(error.status, lines, body)


def _head(fields: Mapping[str, Sequence[str]], size: int) -> bytes:
    """The request head for the model server: only what its contract names goes in."""
    return _made_head(tuple([fields[name][0] if name in fields else None for name, _ in _PASSED_ON]), size)


@lru_cache(maxsize=256)
def _made_head(values: tuple[str | None, ...], size: int) -> bytes:
    """`values` are those of `_PASSED_ON`. Most of a client's requests have the same; at most 256 of at most 64 KiB."""
    lines = [f"{_PASSED_ON[at][1]}: {value}\r\n" for at, value in enumerate(values) if value is not None]
    start = f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n"
    return f"{start}{''.join(lines)}\r\n".encode("latin-1")
