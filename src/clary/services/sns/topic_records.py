"""Topics as records: how they are found, and how they change. A document is {"Attributes": what was set}."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document
from clary.services.sns import faults, naming
from clary.store import records
from clary.store.records import Record

TOPIC = "sns-topic"

Change = Callable[[Connection, Record], Document]


def by_arn(connection: Connection, arn: str) -> Record | None:
    found = records.by_arn(connection, arn)
    return found if found is not None and found.kind == TOPIC else None


def find(connection: Connection, call: Call, given: Document) -> Record:
    """The topic that a request names. Raises InvalidParameter, NotFound."""
    found = by_arn(connection, naming.topic(call, given["TopicArn"]))
    if found is None:
        raise faults.no_topic()
    return found


def change(call: Call, given: Document, make: Change) -> None:
    """Sets the attributes that `make` says, of what the topic is now; None takes one away."""

    def commit(connection: Connection) -> None:
        topic = find(connection, call, given)
        attributes = {**topic.document["Attributes"], **make(connection, topic)}
        left = {name: value for name, value in attributes.items() if value is not None}
        records.replace(connection, topic, document={"Attributes": left}, modified=call.platform.clock.now())

    call.platform.stores.records.write(commit)
