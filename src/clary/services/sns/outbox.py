"""What is to be sent: messages, and a delivery for each subscription that gets one. Functions of a connection, so that
a message is kept in the very transaction that accepts it.

A delivery is removed when it was sent, or given up; what was sent but not yet removed when a server ended is sent
again. A message goes with its last delivery. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.records import Record
from clary.store.schema import sns_deliveries, sns_messages

Content = Mapping[str, Any]
MAIL = "mail"

_UNSENT = sa.exists().where(sns_deliveries.c.message == sns_messages.c.id)


class Recipient(NamedTuple):
    """A subscription (its ARN), and the host (with its port, where the URL says one) of its endpoint; of mail, whose
    endpoints one server serves, `MAIL`."""

    subscription: str
    host: str


class Delivery(NamedTuple):
    """`attempts` is how many failed so far; `owner` is the account of the topic, `host` as in Recipient."""

    id: int
    message: str
    subscription: str
    owner: str
    host: str
    attempts: int


class Busy(NamedTuple):
    """Who has enough deliveries under way."""

    subscriptions: Collection[str] = ()
    hosts: Collection[str] = ()
    owners: Collection[str] = ()


def recipient(subscription: Record) -> Recipient:
    given = subscription.document
    mail = given["Protocol"].startswith("email")
    host = MAIL if mail else urlsplit(given["Endpoint"]).netloc.rpartition("@")[2].lower()
    return Recipient(subscription.arn, host)


def enter(connection: Connection, content: Content, recipients: Iterable[Recipient], now: float) -> None:
    """Keeps the message for each of `recipients`, to be sent at once; for nobody, nothing. `content` has a "MessageId";
    one that is there already is not entered again."""
    wanted = list(recipients)
    message = content["MessageId"]
    if not wanted or connection.scalar(sa.select(sns_messages.c.id).where(sns_messages.c.id == message)):
        return
    connection.execute(sns_messages.insert().values(id=message, content=dict(content)))
    shared = {"message": message, "due": now, "attempts": 0}
    rows = [{**shared, **each._asdict(), "owner": each.subscription.split(":")[4]} for each in wanted]
    connection.execute(sns_deliveries.insert(), rows)


def due(connection: Connection, now: float, without: Collection[int], busy: Busy, limit: int) -> list[Delivery]:
    """At most `limit` whose time has come, the longest due first; none of those in `without`, nor of whom is `busy`."""
    columns = [sns_deliveries.c[name] for name in Delivery._fields]
    wanted = [sns_deliveries.c.due <= now, sns_deliveries.c.id.not_in(without)]
    wanted.append(sns_deliveries.c.subscription.not_in(busy.subscriptions))
    wanted.append(sns_deliveries.c.host.not_in(busy.hosts))
    wanted.append(sns_deliveries.c.owner.not_in(busy.owners))
    statement = sa.select(*columns).where(*wanted).order_by(sns_deliveries.c.due, sns_deliveries.c.id).limit(limit)
    return [Delivery(*row) for row in connection.execute(statement)]


def later(connection: Connection, now: float) -> float | None:
    """When the next is due of those that are not yet."""
    found: float | None = connection.scalar(
        sa.select(sa.func.min(sns_deliveries.c.due)).where(sns_deliveries.c.due > now)
    )
    return found


def content(connection: Connection, delivery: Delivery) -> Content | None:
    """None when the delivery has been dropped meanwhile."""
    joined = sa.and_(sns_deliveries.c.message == sns_messages.c.id, sns_deliveries.c.id == delivery.id)
    found: Content | None = connection.scalar(sa.select(sns_messages.c.content).join(sns_deliveries, joined))
    return found


def done(connection: Connection, delivery: Delivery) -> None:
    """It was sent, or is given up."""
    connection.execute(sns_deliveries.delete().where(sns_deliveries.c.id == delivery.id))
    _forget(connection, [delivery.message])


def again(connection: Connection, delivery: Delivery, at: float) -> None:
    """It failed, and is tried again at `at`."""
    this = sns_deliveries.c.id == delivery.id
    connection.execute(sns_deliveries.update().where(this).values(due=at, attempts=delivery.attempts + 1))


def drop(connection: Connection, subscription: str) -> None:
    """All that the subscription was still to get."""
    its = sns_deliveries.c.subscription == subscription
    messages = list(connection.scalars(sa.select(sns_deliveries.c.message).where(its)))
    connection.execute(sns_deliveries.delete().where(its))
    _forget(connection, messages)


def sweep(connection: Connection) -> None:
    """Removes messages that nobody is to get."""
    connection.execute(sns_messages.delete().where(~_UNSENT))


def _forget(connection: Connection, messages: Iterable[str]) -> None:
    for message in messages:
        connection.execute(sns_messages.delete().where(sns_messages.c.id == message, ~_UNSENT))
