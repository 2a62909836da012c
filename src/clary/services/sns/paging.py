"""SNS's pages: a hundred, and a NextToken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from clary.errors import ServiceError
from clary.services import paging
from clary.services.operation import Call, Document
from clary.services.sns import faults
from clary.store import records
from clary.store.records import FIELDS, Record
from clary.store.schema import records as table

_LIMIT = 100


def page(
    call: Call, given: Document, member: str, show: Callable[[Record], Any], *conditions: sa.ColumnElement[bool]
) -> Document:
    """The records that meet `conditions`, by ARN. Raises InvalidParameter for a token of another listing."""
    database = call.platform.stores.records
    key, binding = paging.signing_key(database), [call.operation, call.account, call.region, given.get("TopicArn")]
    after = _after(key, binding, given.get("NextToken"))
    statement = (
        sa.select(*(table.c[name] for name in FIELDS))
        .where(*conditions, table.c.arn > after)
        .order_by(table.c.arn)
        .limit(_LIMIT + 1)
    )
    found = database.read(lambda connection: [records.Record(*row) for row in connection.execute(statement)])
    answer: Document = {member: [show(each) for each in found[:_LIMIT]]}
    if len(found) > _LIMIT:
        answer["NextToken"] = paging.issue(key, binding, (found[_LIMIT - 1].arn,))
    return answer


def _after(key: bytes, binding: Any, token: str | None) -> str:
    if not token:
        return ""
    try:
        return str(paging.redeem(key, binding, token)[0])
    except ServiceError:
        raise faults.invalid("nextToken") from None
