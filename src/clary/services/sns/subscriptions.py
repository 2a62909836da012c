"""Subscriptions as records: a topic's are its children. A document is {"TopicArn", "Protocol", "Endpoint",
"Principal" (who subscribed), "Nonce" (what its tokens are made of), "Authenticated" (how it was confirmed),
"AuthenticateOnUnsubscribe", "Attributes" (what was set)}; `account` is its owner's.

One that waits for its confirmation, or that was ended by somebody unknown and may be taken up again, has a time after
which it is gone: `until`, at which the scheduler removes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.scheduler.loop import Reconciler
from clary.scheduler.outcomes import AgainIn, Done, Outcome
from clary.services.operation import Call
from clary.services.sns import faults, naming, outbox, topic_records
from clary.store import records
from clary.store.prepared import Prepared
from clary.store.records import FIELDS, Record
from clary.store.schema import records as table

SUBSCRIPTION = "sns-subscription"
CONFIRMED, PENDING, DELETED = "Confirmed", "Pending", "Deleted"
TOKEN_SECONDS = 2 * 86_400.0
QUEUE = "sns-unconfirmed"

_OF_TOPIC = [table.c.parent == sa.bindparam("topic"), table.c.kind == SUBSCRIPTION]
_RECORDS = sa.select(*(table.c[name] for name in FIELDS)).where(*_OF_TOPIC)
_CONFIRMED = Prepared(_RECORDS.where(table.c.status == CONFIRMED).order_by(table.c.arn))
_ALL = Prepared(_RECORDS)
_COUNTS = Prepared(sa.select(table.c.status, sa.func.count()).where(*_OF_TOPIC).group_by(table.c.status))


class Timing(TypedDict):
    status: str
    queue: str
    until: float | None


def timing(status: str, now: float) -> Timing:
    """The members of the record that go with its status."""
    if status == CONFIRMED:
        return {"status": status, "queue": "", "until": None}
    return {"status": status, "queue": QUEUE, "until": now + TOKEN_SECONDS}


def name_of(topic: str, protocol: str, endpoint: str) -> str:
    """By which an account's subscription of that endpoint is found again."""
    return hashlib.sha256(f"{topic}\n{protocol}\n{endpoint}".encode()).hexdigest()


def confirmed(connection: Connection, topic: str) -> Sequence[Record]:
    return [Record(*row) for row in _CONFIRMED.rows(connection, {"topic": topic})]


def count(connection: Connection, topic: str) -> dict[str, int]:
    """How many there are of each status."""
    return {status: int(number) for status, number in _COUNTS.rows(connection, {"topic": topic})}


def by_arn(connection: Connection, arn: str) -> Record | None:
    found = records.by_arn(connection, arn)
    return found if found is not None and found.kind == SUBSCRIPTION else None


def own(connection: Connection, call: Call, arn: str) -> Record:
    """The caller's, or one of his topics'. Raises InvalidParameter; NotFound, also for what is another account's."""
    naming.subscription(arn, call.region)
    found = by_arn(connection, arn)
    if found is None or found.status == DELETED or not _may_see(connection, found, call.account):
        raise faults.no_subscription()
    return found


def _may_see(connection: Connection, found: Record, account: str) -> bool:
    if account == found.account:
        return True
    topic = topic_records.by_arn(connection, found.parent or "")
    return topic is not None and topic.account == account


def end(connection: Connection, subscription: Record) -> None:
    """For good, with what was not delivered yet."""
    outbox.drop(connection, subscription.arn)
    records.delete(connection, subscription)


def end_all(connection: Connection, topic: str) -> None:
    for row in _ALL.rows(connection, {"topic": topic}):
        end(connection, Record(*row))


def _reconcile(platform: Platform, record: Record) -> Outcome:
    """Removes one that nobody confirmed in time. Raises records.Changed."""
    left = (record.until or 0.0) - platform.clock.now()
    if left > 0:
        return AgainIn(left)
    platform.stores.records.write(lambda connection: end(connection, record))
    return Done()


RECONCILERS = {SUBSCRIPTION: Reconciler((PENDING, DELETED), _reconcile, QUEUE)}
