"""When a key and a role were used last: noted once in a while, as AWS does it."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.clock import Clock
from clary.services.iam.access_keys import key_arn
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Changed

_LOG = logging.getLogger(__name__)
_NOTED_SECONDS = 900.0  # AWS, too, notes the first use of each quarter of an hour
_MOST = 10_000


class LastUses:
    """Safe between threads: two that note the same use at once write the same."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[str, float] = {}

    def note(self, principal: Principal, service: str, region: str) -> None:
        """Of a request that was proven; the first in a quarter of an hour costs a write, whose failure is logged and
        hurts nobody."""
        owner = _owner(principal)
        now = self._clock.monotonic()
        if owner is None or now < self._noted.get(owner, 0.0):
            return
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[owner] = now + _NOTED_SECONDS
        used = {"At": self._clock.now(), "Service": service, "Region": region or "us-east-1"}
        try:
            self._database.write(lambda connection: _write(connection, owner, used))
        except Changed:
            pass  # somebody changes the record this moment: the next quarter of an hour will do
        except Exception:
            _LOG.exception("the use of %s could not be noted", owner)


def _owner(principal: Principal) -> str | None:
    """The ARN of the record that keeps the use: a user's key, or the role of a session."""
    if principal.kind == "user" and principal.access_key.startswith("AKIA"):
        return key_arn(principal.access_key)
    if principal.kind == "role-session":
        return f"arn:aws:iam::{principal.account}:role/{principal.role}"
    return None


def _write(connection: Connection, owner: str, used: dict[str, Any]) -> None:
    """Without a new generation: nobody may do more or less by it."""
    record = records.by_arn(connection, owner)
    if record is not None:
        records.replace(connection, record, document={**record.document, "LastUsed": used})
