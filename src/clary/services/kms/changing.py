"""One change of one key of the customer's, in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.engine import Connection

from clary.services.kms import keys
from clary.services.kms.asking import Asker
from clary.services.operation import Call, Document
from clary.store.records import Record

Change = Callable[[Connection, Record, float], object]


def changing(call: Call, given: Document, change: Change) -> Record:
    """Runs `change(connection, key, now)` on the key that `given` names by id or ARN. Returns the key as it was."""
    asker = Asker.of(call, given)

    def commit(connection: Connection) -> Record:
        record = keys.require_customers(keys.find(connection, asker, given["KeyId"]), asker)
        change(connection, record, asker.now)
        return record

    record = call.platform.stores.records.write(commit)
    call.platform.wake()  # something may fall due at another time now
    return record
