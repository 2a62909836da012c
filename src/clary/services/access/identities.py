"""What principals may do by their own policies, read once and kept as long as nothing of IAM changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Set

from sqlalchemy.engine import Connection

from clary.auth.policy import Identity
from clary.auth.principals import Principal
from clary.clock import Clock
from clary.services.iam import generation, standing
from clary.services.iam.parsed import identity
from clary.store.engine import Database

FRESH_SECONDS = 1.0  # how late a change that another server made to the same database may be noticed
_KEPT = 4096
_WITHOUT = ("root", "anonymous", "service")  # kinds of principals that have no policies, while their keys last


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
