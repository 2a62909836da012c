"""What the resources of IAM share: records, times, tags, paging.

IAM is global: its records have the region "". A record's document is the AWS-shaped dict with times as epoch seconds
and policy documents as plain text, plus members of ours that answers leave out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from clary.errors import ServiceError
from clary.services.iam import errors
from clary.services.operation import Call, Document
from clary.store.records import Query, Record
from clary.store.schema import records as table

T = TypeVar("T")

REGION = ""
ROLE = "iam-role"
USER = "iam-user"
GROUP = "iam-group"
POLICY = "iam-policy"
ACCESS_KEY = "iam-access-key"
_MOST_TAGS = 50


def when(epoch: float) -> datetime:
    return datetime.fromtimestamp(int(epoch), UTC)


def merged_tags(old: Sequence[dict[str, str]], new: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """`old` with `new` written over it; raises LimitExceeded and InvalidInput."""
    keys = [tag["Key"] for tag in new]
    if len(set(keys)) != len(keys):
        raise ServiceError(
            "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", 400
        )
    tags = {tag["Key"]: tag["Value"] for tag in (*old, *new)}
    if len(tags) > _MOST_TAGS:
        raise errors.limit(f"The number of tags has reached the maximum limit of {_MOST_TAGS}.")
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def without_tags(old: Sequence[dict[str, str]], keys: Sequence[str]) -> list[dict[str, str]]:
    return [tag for tag in old if tag["Key"] not in keys]


def page(
    items: Sequence[T], given: Document, member: str, shown: Callable[[T], Any], name: Callable[[T], str]
) -> Document:
    """One page of `items` (in the order of `name`), as IAM pages: MaxItems, Marker, IsTruncated."""
    after = _unmarked(given["Marker"]) if given.get("Marker") else ""
    ordered = [item for item in sorted(items, key=name) if name(item) > after]
    most = int(given.get("MaxItems", 100))
    answer: Document = {member: [shown(item) for item in ordered[:most]], "IsTruncated": len(ordered) > most}
    if answer["IsTruncated"]:
        answer["Marker"] = _marker(name(ordered[most - 1]))
    return answer


def listing(call: Call, kind: str, resource: str, given: Document) -> Query:
    """One page's records of `kind` and one more, under PathPrefix; `resource` is "role" or the like."""
    prefix = f"arn:aws:iam::{call.account}:{resource}{given.get('PathPrefix') or '/'}"
    conditions: list[sa.ColumnElement[bool]] = [table.c.arn.startswith(prefix, autoescape=True)]
    if given.get("Marker"):
        conditions.append(table.c.name > _unmarked(given["Marker"]))
    most = int(given.get("MaxItems", 100))
    return Query(kind, call.account, REGION, sort="name", limit=most + 1, conditions=conditions)


def paged(found: list[Record], given: Document, member: str, shown: Callable[[Record], Any]) -> Document:
    """The answer to a `listing`."""
    most = int(given.get("MaxItems", 100))
    answer: Document = {member: [shown(record) for record in found[:most]], "IsTruncated": len(found) > most}
    if answer["IsTruncated"]:
        answer["Marker"] = _marker(found[most - 1].name or "")
    return answer


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode("ascii")


def _unmarked(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise errors.invalid("Invalid Marker.") from None
