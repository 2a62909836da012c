"""Block Public Access: the four settings of a bucket, and those of its account; what either blocks is blocked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.s3 import bucket_settings, faults
from clary.services.s3.index import Bucket
from clary.store.objects_schema import account_blocks
from clary.store.prepared import Prepared

NAME = "PublicAccessBlock"
ALL: Mapping[str, bool] = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
"""What a new bucket has."""

_OF_ACCOUNT = Prepared(
    sa.select(account_blocks.c.value).where(account_blocks.c.account == sa.bindparam("this_account"))
)


def of(connection: Connection, bucket: Bucket) -> Mapping[str, bool]:
    """What is blocked."""
    found = bucket_settings.find(connection, bucket, NAME)
    own: Mapping[str, bool] = ALL if found is None else found  # nothing, once they were deleted
    above = of_account(connection, bucket.account)
    return {name: bool(own.get(name) or above.get(name)) for name in ALL} if above else own


def of_account(connection: Connection, account: str) -> dict[str, bool] | None:
    """None when none are set."""
    row = _OF_ACCOUNT.first(connection, {"this_account": account})
    return None if row is None else row[0]


def enter_account(connection: Connection, account: str, value: Mapping[str, bool] | None) -> None:
    """Sets them; None takes them away."""
    connection.execute(account_blocks.delete().where(account_blocks.c.account == account))
    if value is not None:
        connection.execute(account_blocks.insert().values(account=account, value=dict(value)))


def complete(given: Mapping[str, Any]) -> dict[str, bool]:
    """All four settings; what is not given is off. Raises MalformedXML when none is."""
    if not given:
        raise faults.malformed_xml()
    return {name: bool(given.get(name)) for name in ALL}
