"""Keys, routes and permits, asked of the control plane and remembered: a second while it answers, longer while it is
away. That there is none is not remembered: an endpoint answers as soon as it is in service, a key as soon as it is
made."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from clary.auth.principals import Credential, Principal
from clary.edge.control import PATIENCE_SECONDS, Link, LinkPool
from clary.server.frames import Frame, pack_json
from clary.serving.directory import EndpointKey, Permit, PermitKey, Route, UnavailableError, Variant

FRESH_SECONDS = 1.0  # how late a change of a key or an endpoint may be noticed
STALE_SECONDS = 300.0  # how long an earlier answer serves while the control plane is away
_SLOW_SECONDS = 1.0  # without an answer for so long, an earlier one is used
_AGAIN_SECONDS = 0.05
_KEPT = 10_000

_SERVING = frozenset(("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"))

T = TypeVar("T")
Answer = dict[str, Any]


class _Question:
    """One question on its way."""

    def __init__(self, pool: LinkPool, value: Answer, patient: bool) -> None:
        self.answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._value = value
        self._pool = pool
        self._link: Link | None = None
        pool.take(self, patient)

    def drop(self) -> None:
        """Nobody waits for the answer any more."""
        self._pool.cancel(self)
        if self._link is not None:
            self._link.close()

    def linked(self, link: Link) -> None:
        self._link = link
        link.send(pack_json(Frame.QUESTION, self._value))

    def link_frame(self, kind: int, payload: bytes) -> None:
        link, self._link = self._link, None
        if link is not None and kind == Frame.ANSWER:
            link.release()
            self._settle(json.loads(payload))
        elif link is not None:
            link.close()
            self._settle(None)

    def unavailable(self) -> None:
        self._settle(None)

    def link_lost(self) -> None:
        self._settle(None)

    def link_data(self, data: bytes) -> None: ...

    def link_flush(self) -> None: ...

    def link_pause(self) -> None: ...

    def link_resume(self) -> None: ...

    def _settle(self, value: Answer | None) -> None:
        if not self.answer.done():
            self.answer.set_result(value)


class _Entry(Generic[T]):
    __slots__ = ("answer", "answered", "checked", "value")

    def __init__(self) -> None:
        self.value: T | None = None
        self.answer: Answer | None = None
        self.answered = -STALE_SECONDS
        self.checked = -STALE_SECONDS  # when last asked, whether answered or not


class Remembered(Generic[T]):
    """Answers to one kind of question. The same question is asked once at a time; `read` makes a value of an answer."""

    def __init__(self, pool: LinkPool, read: Callable[[Answer], T | None]) -> None:
        self._pool = pool
        self._read = read
        self._entries: OrderedDict[Any, _Entry[T]] = OrderedDict()
        self._asking: dict[Any, asyncio.Task[T | None]] = {}

    def fresh(self, key: Any) -> T | None:
        entry = self._entries.get(key)
        if entry is not None and time.monotonic() - entry.checked < FRESH_SECONDS:
            return entry.value
        return None

    async def get(self, key: Any, question: Answer) -> T | None:
        """Raises UnavailableError."""
        entry = self._entries.get(key)
        if entry is not None and time.monotonic() - entry.checked < FRESH_SECONDS:
            return entry.value
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, question))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def ask(self, question: Answer) -> T | None:
        """Of the control plane, now; not remembered. Raises UnavailableError."""
        answer = await self._answer(question)
        if answer is None or "error" in answer:
            raise UnavailableError
        return self._read(answer)

    async def _ask(self, key: Any, question: Answer) -> T | None:
        entry = self._entries.pop(key, None) or _Entry[T]()
        usable = entry.value is not None and time.monotonic() - entry.answered < STALE_SECONDS
        answer = await (self._first_answer(question) if usable else self._answer(question))
        now = time.monotonic()
        if answer is not None and "error" not in answer:
            if answer != entry.answer:  # an unchanged value stays the same object
                entry.value, entry.answer = self._read(answer), answer
            entry.answered = now
        elif not usable:
            raise UnavailableError
        entry.checked = now
        if entry.value is None:
            return None
        self._entries[key] = entry
        if len(self._entries) > _KEPT:
            self._entries.popitem(last=False)
        return entry.value

    async def _first_answer(self, question: Answer) -> Answer | None:
        """None when the control plane is away, or slow: there is an earlier answer to fall back on."""
        asked = _Question(self._pool, question, patient=False)
        await asyncio.wait((asked.answer,), timeout=_SLOW_SECONDS)
        if asked.answer.done():
            return asked.answer.result()
        asked.drop()
        return None

    async def _answer(self, question: Answer) -> Answer | None:
        """None when the control plane gave none in time. One that dies over it is asked again when it is up."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (left := end - time.monotonic()) > 0:
            asked = _Question(self._pool, question, patient=True)
            await asyncio.wait((asked.answer,), timeout=left)
            if not asked.answer.done():
                asked.drop()
            elif (answer := asked.answer.result()) is not None:
                return answer
            else:
                await asyncio.sleep(_AGAIN_SECONDS)
        return None


class ControlDirectory:
    """`clary.serving.directory.Directory` over questions to the control plane."""

    def __init__(self, pool: LinkPool) -> None:
        self._pool = pool
        self._credentials = Remembered(pool, _credential)
        self._routes = Remembered(pool, _route)
        self.fresh_credential = self._credentials.fresh
        self._permits = Remembered(pool, _permit)
        self.fresh_route = self._routes.fresh
        self.fresh_permit = self._permits.fresh

    async def credential(self, access_key: str) -> Credential | None:
        return await self._credentials.get(access_key, {"ask": "credential", "access_key": access_key})

    async def route(self, key: EndpointKey) -> Route | None:
        account, region, endpoint = key
        question = {"ask": "route", "account": account, "region": region, "endpoint": endpoint}
        return await self._routes.get(key, question)

    async def permit(self, key: PermitKey) -> Permit | None:
        return await self._permits.get(key, _about(key))

    async def particular_permit(self, key: PermitKey, headers: Sequence[tuple[str, str]]) -> Permit | None:
        return await self._permits.ask(_about(key) | {"headers": headers})

    def damaged(self, blob: str, words: str) -> None:
        """Tells of a blob's file that is not what was written. Nobody waits; without a control plane it is not told,
        and the next reader tells it again."""
        _Question(self._pool, {"ask": "damaged", "blob": blob, "words": words}, patient=True)


def _about(key: PermitKey) -> Answer:
    names = ("access_key", "region", "endpoint", "scheme", "peer")
    return {"ask": "permit", **dict(zip(names, key, strict=True))}


def _permit(answer: Answer) -> Permit | None:
    return Permit(answer["refusal"], answer.get("particular", False)) if answer.get("found") else None


def _credential(answer: Answer) -> Credential | None:
    if not answer.get("found"):
        return None
    principal = Principal(**answer["principal"])
    token, expires = answer.get("session_token") or "", answer.get("expires")
    return Credential(principal.access_key, answer["secret_key"], principal, token, expires)


def _route(answer: Answer) -> Route | None:
    if not answer.get("found") or answer.get("status") not in _SERVING:
        return None
    variants = tuple(
        Variant(
            each["name"],
            float(each.get("weight", 1.0)),
            tuple(each["instances"]),
            float(each.get("timeout") or 60.0),
            int(each.get("concurrency") or 64),
        )
        for each in answer["variants"]
    )
    return Route(answer.get("arn", ""), variants)
