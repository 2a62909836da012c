"""The users and roles that trust policies, key policies, grants and bucket policies name as principals.

A principal is the one that was meant, not whoever has his name later. So what names one follows him to his new name,
and when he is gone it keeps his unique id, which nobody ever has again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.iam import shapes
from clary.services.operation import Call
from clary.services.s3 import bucket_settings, index
from clary.services.s3.policies import POLICY
from clary.store import records
from clary.store.records import FIELDS, Record
from clary.store.schema import records as table

_POLICIES = {shapes.ROLE: "AssumeRolePolicyDocument", "kms-key": "Policy"}  # kind of record: the policy's member
_GRANT, _NAMED = "kms-grant", ("GranteePrincipal", "RetiringPrincipal")


def follow(connection: Connection, old: Record, new: Record) -> None:
    """`old` has the name, or the path, of `new` now."""
    _replace(connection, old.arn, new.arn)


def pin(connection: Connection, gone: Record) -> None:
    """That user or role is deleted."""
    _replace(connection, gone.arn, _id(gone))


def _id(record: Record) -> str:
    return str(record.document.get("RoleId") or record.document["UserId"])


def in_buckets(call: Call, old: Record, new: Record | None) -> None:
    """`follow`, or `pin` where there is no `new`, for bucket policies: these are in another database, so it is done
    after the commit. It counts as soon as servers look at the bucket again, within a second."""
    given = _id(old) if new is None else new.arn

    def work(connection: Connection) -> None:
        for name in bucket_settings.having(connection, POLICY):
            bucket = index.find_bucket(connection, name)
            text = None if bucket is None else bucket_settings.find(connection, bucket, POLICY)
            if bucket is None or text is None:
                continue
            policy = _policy(text, lambda each: given if each == old.arn else each)
            if policy != text:
                bucket_settings.enter(connection, bucket, POLICY, policy)

    if old.arn != given:
        call.platform.stores.objects.write(work)


def _replace(connection: Connection, old: str, new: str) -> None:
    """In all accounts. Documents are read to find out: in JSON a name can be written in many ways."""
    if old == new:
        return
    wanted = sa.select(*(table.c[name] for name in FIELDS)).where(table.c.kind.in_((*_POLICIES, _GRANT)))
    for row in connection.execute(wanted).fetchall():
        record = Record(*row)
        document = _document(record, lambda name: new if name == old else name)
        if document != record.document:
            records.replace(connection, record, document=document, queue=record.queue, until=record.until)


def _document(record: Record, renamed: Callable[[Any], Any]) -> dict[str, Any]:
    document = record.document
    if record.kind == _GRANT:
        return {**document, **{each: renamed(document[each]) for each in _NAMED if each in document}}
    member = _POLICIES[record.kind]
    return {**document, member: _policy(document[member], renamed)}


def _policy(text: str, renamed: Callable[[Any], Any]) -> str:
    """`text` itself when it names nobody who is `renamed`."""
    policy, before = json.loads(text), json.loads(text)
    statements = policy["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            if isinstance(named, dict) and "AWS" in named:
                given = named["AWS"]
                named["AWS"] = [renamed(each) for each in given] if isinstance(given, list) else renamed(given)
    return text if policy == before else json.dumps(policy)
