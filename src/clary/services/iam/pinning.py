"""Policies and grants of earlier releases, which name principals as their authors did: pinned once to unique ids."""

from __future__ import annotations

import functools
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.iam import principals, shapes
from clary.services.s3 import bucket_settings, index
from clary.services.s3.policies import POLICY
from clary.store import records
from clary.store.engine import Database
from clary.store.records import FIELDS, Record
from clary.store.schema import records as table

_POLICIES = {shapes.ROLE: "AssumeRolePolicyDocument", "kms-key": "Policy"}  # kind of record: the policy's member
_GRANT, _NAMED = "kms-grant", ("GranteePrincipal", "RetiringPrincipal")
_DONE = Record("principals-pinned", "", "", "clary:principals-pinned", None, "", 0.0, 0.0, {})


def pin_earlier(database: Database, objects: Database) -> None:
    """Call it at every start. Once it came to its end it does nothing; before, it can be run any number of times."""
    if database.read(lambda connection: records.by_arn(connection, _DONE.arn)) is None:
        for name in objects.read(lambda connection: bucket_settings.having(connection, POLICY)):
            objects.write(functools.partial(_pin_bucket, database, name))
        database.write(_pin_records)


def _pin_bucket(database: Database, name: str, connection: Connection) -> None:
    bucket = index.find_bucket(connection, name)
    text = None if bucket is None else bucket_settings.find(connection, bucket, POLICY)
    if bucket is not None and text is not None:
        pinned = database.read(lambda known: principals.pin_known(known, text))
        if pinned != text:
            bucket_settings.enter(connection, bucket, POLICY, pinned)


def _pin_records(connection: Connection) -> None:
    wanted = sa.select(*(table.c[name] for name in FIELDS)).where(table.c.kind.in_((*_POLICIES, _GRANT)))
    for row in connection.execute(wanted).fetchall():
        record = Record(*row)
        document = _pinned(connection, record)
        if document != record.document:
            records.replace(connection, record, document=document, queue=record.queue, until=record.until)
    if records.by_arn(connection, _DONE.arn) is None:
        records.insert(connection, _DONE)


def _pinned(connection: Connection, record: Record) -> dict[str, Any]:
    document = record.document
    if record.kind == _GRANT:
        named = {each: principals.pin_name(connection, document[each]) for each in _NAMED if each in document}
        return {**document, **named}
    member = _POLICIES[record.kind]
    return {**document, member: principals.pin_known(connection, document[member])}
