"""Whose a bucket is, and who may come in by what is set on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from clary.auth.policy import Policy, Side
from clary.auth.principals import Principal
from clary.clock import Clock
from clary.services.s3 import index, policies
from clary.store.engine import Database

FRESH_SECONDS = 1.0  # how late a change that another server made to the same database may be noticed
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    account: str
    policy: Policy | None
    restricted: bool  # its policy is public and RestrictPublicBuckets holds
    until: float


class Buckets:
    """Safe between threads. A change of this server's counts from its commit on (`forget` has to be told), one of
    another server on the same database within FRESH_SECONDS. That there is no such bucket is not remembered."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._changes = 0

    def forget(self, name: str) -> None:
        """What the bucket is set to has changed, or it is gone or new."""
        with self._lock:
            self._changes += 1
            self._known.pop(name, None)

    def side(self, name: str, principal: Principal) -> Side | None:
        """None when there is no such bucket."""
        found = self._of(name)
        if found is None:
            return None
        home = principal.account == found.account or principal.kind == "service"
        return Side(found.account, found.policy if home or not found.restricted else None)

    def _of(self, name: str) -> _Known | None:
        now = self._clock.monotonic()
        known = self._known.get(name)
        if known is not None and now < known.until:
            return known
        changes = self._changes  # what is told of from here on, the read may not see
        found = self._database.read(lambda connection: _look(connection, name, now + FRESH_SECONDS))
        with self._lock:
            if found is not None and changes == self._changes:
                self._known[name] = found
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return found


def _look(connection: Connection, name: str, until: float) -> _Known | None:
    bucket = index.find_bucket(connection, name)
    if bucket is None:
        return None
    policy = policies.of(connection, bucket)
    restricted = policy is not None and policies.restricted(connection, bucket, policy)
    return _Known(bucket.account, policy, restricted, until)
