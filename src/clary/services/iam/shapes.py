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
INSTANCE_PROFILE = "iam-instance-profile"
OIDC_PROVIDER = "iam-oidc-provider"
SAML_PROVIDER = "iam-saml-provider"
_MOST_TAGS = 50


def when(epoch: float) -> datetime:
    return datetime.fromtimestamp(int(epoch), UTC)


def merged_tags(old: Sequence[dict[str, str]], new: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """`old` with `new` written over it, keys compared without case; raises LimitExceeded and InvalidInput."""
    given = {tag["Key"].lower(): tag for tag in new}
    if len(given) != len(new):
        raise errors.bad_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in given):
        raise errors.bad_input("Tag keys that begin with aws: are reserved for AWS use.")
    tags = {tag["Key"].lower(): tag for tag in old} | given
    if len(tags) > _MOST_TAGS:
        raise errors.limit(f"The number of tags has reached the maximum limit of {_MOST_TAGS}.")
    return [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags.values()]


def without_tags(old: Sequence[dict[str, str]], keys: Sequence[str]) -> list[dict[str, str]]:
    gone = {key.lower() for key in keys}
    return [tag for tag in old if tag["Key"].lower() not in gone]


def show_boundary(answer: Document) -> None:
    """The permissions boundary as answers show it, in the place of its ARN."""
    arn = answer.get("PermissionsBoundary")
    if arn is not None:
        shown = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}
        answer["PermissionsBoundary"] = shown


def last_use(document: Document) -> Document:
    """When and where a role was used last; empty when it never was."""
    used = document.get("LastUsed")
    return {} if used is None else {"LastUsedDate": when(used["At"]), "Region": used["Region"]}


def name(record: Record) -> str:
    """Of a kind whose records have names."""
    return str(record.name)


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
        answer["Marker"] = _marker(name(found[most - 1]))
    return answer


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode("ascii")


def _unmarked(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise errors.invalid("Invalid Marker.") from None
