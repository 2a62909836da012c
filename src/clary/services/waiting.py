"""Which Describe may be answered late: one whose caller says by its User-Agent that it waits, and asks as waiting does.

Clients wait by asking again and again, with up to two minutes of sleep between. A Describe that is held until there is
something new to say ends their wait with the job. It stays within the documented API: an answer is late, never another
one. Whoever does not wait (a script's own loop, a console) is never held; what tells the two apart is below.
"""

from __future__ import annotations

import enum
import functools
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from clary.clock import Clock
from clary.services.operation import Call, Result
from clary.services.resources import Resource


class Client(enum.Enum):
    """Who waits, by how it does."""

    WAITER = enum.auto()
    """A waiter of botocore (boto3, AWS CLI): says so in each request, asks first and sleeps 30 to 120 s between."""
    SLEEPS_FIRST = enum.auto()
    """The SageMaker Python SDK's sessions, v2 and v3: says only who it is, and sleeps before each ask."""
    ASKS_FIRST = enum.auto()
    """The resource classes of its v3: `get` asks, `wait` asks again at once, then sleeps 5 s between."""


# Feature B of botocore's list is "within a waiter".
_MARKS = (
    (Client.WAITER, re.compile(r"(?:^|\s)m/(?:[^\s,]+,)*B(?:[,\s]|$)")),
    (Client.SLEEPS_FIRST, re.compile(r"\blib/AWS-SageMaker-Python-SDK#")),
    (Client.ASKS_FIRST, re.compile(r"\blib/AWS-SageMakerCore#")),
)
_AT_ONCE = 1.0  # seconds within which v3's `wait` follows its `get`; a loop of somebody's own sleeps that long
_POLL = (4.0, 7.0)  # seconds between two asks of a loop that sleeps 5
_GLANCE = 5.0  # for how long v3's later asks are held: it shows new log lines only between them
_FORGOTTEN = 60.0  # seconds of silence after which an ask is a first one again
_REMEMBERED = 10_000

Window = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """By what silence before an ask, in seconds (least, most), a loop that sleeps first is known: before its `first`
    ask since the creation, before a `later` one since the last answer."""

    first: Window
    later: Window


# A wait with logs asks 5 s after the creation (10 s for processing and transform), then each 30 s: to hold those would
# gain nothing, so they are outside. Without logs it asks each 5 s. A look right after the creation is none of a wait.
JOB = Rhythm(first=(4.0, 15.0), later=_POLL)
# Creation or update, 30 s of sleep, then an ask each 30 s.
ENDPOINT = Rhythm(first=(28.0, math.inf), later=(28.0, 36.0))


@dataclass(frozen=True, slots=True)
class Waits:
    """Declares that clients wait for a resource: while its status is one of `unsettled`."""

    resource: Resource
    unsettled: frozenset[str]
    rhythm: Rhythm

    def status(self, document: Result) -> str:
        return str(document[f"{self.resource.noun}Status"])

    def arn(self, document: Result) -> str:
        return str(document[f"{self.resource.noun}Arn"])


@dataclass(frozen=True, slots=True)
class Wait:
    """One Describe that may be held for `seconds`; `told` is what was true when it came."""

    waits: Waits
    client: Client
    owner: str
    arn: str
    seconds: float
    passing: bool  # any change of status ends it, not only a settled one
    told: Result

    def over(self, document: Result) -> bool:
        """Whether there is something to say."""
        if self.waits.status(document) not in self.waits.unsettled:
            return True
        return self.passing and any(document.get(name) != self.told.get(name) for name in self._shown())

    def _shown(self) -> tuple[str, str]:
        return f"{self.waits.resource.noun}Status", "SecondaryStatus"


@dataclass(frozen=True, slots=True)
class _Past:
    """What is remembered of a caller and a resource: when it was last answered (monotonic), how often in a row."""

    answered: float
    asks: int


class Waiting:
    """Who is to wait, for a whole server. `table` is by service and operation; nobody waits for longer than `longest`
    seconds, and nobody at all when that is 0. For any thread."""

    def __init__(self, table: Mapping[tuple[str, str], Waits], longest: float, clock: Clock) -> None:
        self._table = table if longest else {}
        self._longest = longest
        self._clock = clock
        self._mutex = threading.Lock()
        self._pasts: OrderedDict[tuple[str, Client, str], _Past] = OrderedDict()

    def consider(self, call: Call, document: Result) -> Wait | None:
        """Whether this answer is to be held back: None says that it may go."""
        waits = self._table.get((call.service, call.operation))
        if waits is None:
            return None
        client = client_of(call.request.headers.get("user-agent", "") or "")
        if client is None or waits.status(document) not in waits.unsettled:
            return None
        owner, arn = call.principal.arn, waits.arn(document)
        with self._mutex:
            past = self._past((owner, client, arn))
        seconds = self._seconds(client, waits.rhythm, document, past)
        passing = client is Client.ASKS_FIRST and seconds <= _GLANCE
        wait = Wait(waits, client, owner, arn, seconds, passing, document)
        if seconds:
            return wait
        self.answered(wait)
        return None

    def answered(self, wait: Wait) -> None:
        """The answer goes out now."""
        key = (wait.owner, wait.client, wait.arn)
        with self._mutex:
            past = self._past(key)
            self._pasts[key] = _Past(self._clock.monotonic(), past.asks + 1 if past else 1)
            self._pasts.move_to_end(key)
            if len(self._pasts) > _REMEMBERED:
                self._pasts.popitem(last=False)

    def _past(self, key: tuple[str, Client, str]) -> _Past | None:
        past = self._pasts.get(key)
        return past if past and self._clock.monotonic() - past.answered < _FORGOTTEN else None

    def _seconds(self, client: Client, rhythm: Rhythm, document: Result, past: _Past | None) -> float:
        if client is Client.WAITER:
            return self._longest
        if past is None:
            age = self._clock.now() - float(document["CreationTime"])
            return self._longest if client is Client.SLEEPS_FIRST and _within(age, rhythm.first) else 0.0
        silence = self._clock.monotonic() - past.answered
        if client is Client.SLEEPS_FIRST:
            return self._longest if _within(silence, rhythm.later) else 0.0
        if past.asks == 1 and silence < _AT_ONCE:
            return self._longest
        return min(_GLANCE, self._longest) if _within(silence, _POLL) else 0.0


@functools.lru_cache(maxsize=64)  # pure, so never stale; few, because a head may have 64 KiB
def client_of(user_agent: str) -> Client | None:
    """None: it does not say that it waits."""
    return next((client for client, mark in _MARKS if mark.search(user_agent)), None)


def _within(seconds: float, window: Window) -> bool:
    return window[0] <= seconds <= window[1]
