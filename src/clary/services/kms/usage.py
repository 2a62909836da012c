"""What a key was used for last: noted with the key's first use in a minute, so that uses do not each cost a write."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.services.kms import keys
from clary.services.kms.asking import USAGE, Asker
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Changed, NameTaken, Record

operations = Operations()

NOTED_SECONDS = 60.0
_LOG = logging.getLogger(__name__)
_USED = ("KeyId", "SourceKeyId")  # members of answers: the ARNs of the keys that were used

Cryptographic = Callable[[Call, Document], Document]


def noted(operation: Cryptographic) -> Cryptographic:
    """Of a cryptographic operation: notes the use of its keys once it succeeded."""

    @functools.wraps(operation)
    def handler(call: Call, given: Document) -> Document:
        answer = operation(call, given)
        for member in _USED:
            if member in answer:
                note(call.platform, answer[member], call.operation, call.request_id)
        return answer

    return handler


def note(platform: Platform, arn: str, operation: str, request_id: str = "") -> None:
    """That the key `arn` was used. A failure is logged and hurts nobody."""
    now = platform.clock.now()
    try:
        kept = platform.stores.records.read(lambda connection: records.by_arn(connection, _place(arn)))
        if kept is None or now >= kept.document["At"] + NOTED_SECONDS:
            used = {"Operation": operation, "At": now, **({"KmsRequestId": request_id} if request_id else {})}
            platform.stores.records.write(lambda connection: _write(connection, arn, kept, used))
    except (Changed, NameTaken):
        return  # another use of this moment was noted
    except Exception:  # what was asked for has been done: that it was is worth no failure
        _LOG.exception("the use of %s could not be noted", arn)


def _write(connection: Connection, arn: str, kept: Record | None, used: Document) -> None:
    """Beside the key's record, not in it: whoever changes the key is not disturbed."""
    if kept is not None:
        records.replace(connection, kept, document=used, modified=used["At"])
        return
    key = records.by_arn(connection, arn)
    if key is not None:
        place = _place(arn)
        at = used["At"]
        records.insert(connection, Record(USAGE, key.account, key.region, place, None, "", at, at, used, arn))


def _place(arn: str) -> str:
    return f"{arn}/usage"


@operations.handles("GetKeyLastUsage")
def get_key_last_usage(call: Call, given: Document) -> Document:
    asker = Asker.of(call, given)

    def look(connection: Connection) -> tuple[Record, Record | None]:
        key = keys.find(connection, asker, given["KeyId"])
        return key, records.by_arn(connection, _place(key.arn))

    key, kept = call.platform.stores.records.read(look)
    created = datetime.fromtimestamp(key.created, UTC)
    return {
        "KeyId": key.document["KeyId"],
        "KeyLastUsage": {} if kept is None else _shown(kept.document),
        "TrackingStartDate": created,
        "KeyCreationDate": created,
    }


def _shown(used: Document) -> Document:
    shown = {name: value for name, value in used.items() if name != "At"}
    return {**shown, "Timestamp": datetime.fromtimestamp(used["At"], UTC)}
