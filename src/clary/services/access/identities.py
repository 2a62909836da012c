"""What principals may do by their own policies, read once and kept as long as nothing of IAM changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Set
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from clary.auth.policy import Identity, MalformedPolicy, Policy, parse
from clary.auth.principals import Principal
from clary.clock import Clock
from clary.services.access.context import Keys
from clary.services.iam import generation, standing
from clary.services.iam.standing import PolicyText
from clary.store.engine import Database

FRESH_SECONDS = 1.0  # how late a change that another server made to the same database may be noticed
_KEPT = 4096
_WITHOUT = ("root", "anonymous", "service")  # kinds of principals that have no policies, while their keys last
# In the place of a stored policy that cannot be read: nothing then.
_NOTHING = parse('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}', "unreadable")


class Identities:
    """Safe between threads. A change of this server's is known as soon as it is committed (`changed` has to be told),
    one of another server on the same database within FRESH_SECONDS."""

    def __init__(self, database: Database, clock: Clock, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._fresh = fresh_seconds
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Identity] = OrderedDict()
        self._generation = -1
        self._changes = 0
        self._until = 0.0  # when the generation has to be looked at again

    def changed(self, arns: Set[str]) -> None:
        """Of records that a commit replaced or deleted."""
        if generation.ARN in arns:
            with self._lock:
                self._changes += 1
                self._until = 0.0
                self._known.clear()

    def of(self, principal: Principal) -> Identity:
        if principal.kind in _WITHOUT and not principal.access_key.startswith("ASIA"):
            return _NOBODY
        now, key = self._clock.monotonic(), (principal.arn, principal.access_key)
        known = self._known.get(key) if now < self._until else None
        return known or self._read(principal, key, now)

    def _read(self, principal: Principal, key: tuple[str, str], now: float) -> Identity:
        changes = self._changes  # what is told of from here on, the read may not see

        def work(connection: Connection) -> tuple[int, Identity]:
            number = generation.current(connection)
            known = self._known.get(key) if number == self._generation else None
            return number, known or identity(standing.identity_of(connection, principal))

        number, found = self._database.read(work)
        with self._lock:
            if changes == self._changes:
                if number != self._generation:
                    self._known.clear()
                self._generation, self._until = number, now + self._fresh
                self._known[key] = found
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return found


_NOBODY = Identity()


def identity(found: standing.Identity) -> Identity:
    """As the evaluator takes it."""
    facts: Keys = {key.lower(): tuple(values) for key, values in found.context.items()}
    facts |= {f"aws:principaltag/{key.lower()}": (value,) for key, value in found.tags.items()}
    if found.issued is not None:
        facts["aws:tokenissuetime"] = (datetime.fromtimestamp(found.issued, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),)
    return Identity(
        _read_all(found.policies),
        None if found.boundary is None else read(found.boundary),
        None if found.session is None else _read_all(found.session),
        facts,
    )


def _read_all(texts: Iterable[PolicyText]) -> tuple[Policy, ...]:
    return tuple(read(each) for each in texts)


def read(text: PolicyText) -> Policy:
    try:
        return parse(text.text, text.name)
    except MalformedPolicy:
        return _NOTHING
