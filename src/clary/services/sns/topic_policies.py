"""Topic policies: every topic has one, whose statements say who else may use it."""

from __future__ import annotations

import json
import re

from sqlalchemy.engine import Connection

from clary.auth.policy import MalformedPolicy, Side, parse, stored
from clary.services.iam import principals
from clary.services.operation import Call, Document, Operations
from clary.services.sns import faults, topic_records
from clary.store.records import Record

operations = Operations()

_LONGEST = 30_720  # characters
_ACCOUNT = re.compile(r"[0-9]{12}")
_ACTIONS = (
    *("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe"),
    *("ListSubscriptionsByTopic", "Publish", "Receive", "GetDataProtectionPolicy", "PutDataProtectionPolicy"),
)
_BY_DEFAULT = (*_ACTIONS[:8],)
_IN_SCOPE = frozenset({"*", *(name.lower() for name in _ACTIONS)})


def default(topic: Record) -> Document:
    """What a topic has that was given none: it leaves it to the account's own policies."""
    return {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{name}" for name in _BY_DEFAULT],
                "Resource": topic.arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": topic.account}},
            }
        ],
    }


def text_of(topic: Record) -> str:
    """The policy as it is stored (`clary.services.iam.principals`)."""
    found: str | None = topic.document["Attributes"].get("Policy")
    return json.dumps(default(topic), separators=(",", ":")) if found is None else found


def side(connection: Connection, arn: str) -> Side | None:
    """Whose the topic is and what its policy says; None when there is no such topic."""
    topic = topic_records.by_arn(connection, arn)
    return None if topic is None else Side(topic.account, stored(text_of(topic), arn))


def checked(text: str) -> str:
    """A policy as it is stored. Raises InvalidParameter."""
    if not text:
        raise faults.invalid("Policy is empty")
    if len(text) > _LONGEST:
        raise faults.invalid("Policy is too long")
    try:
        policy = parse(text)
    except MalformedPolicy:
        raise faults.invalid("Policy Error: null") from None
    for statement in policy.statements:
        if statement.whom is None or statement.actions is None or statement.resources is None:
            raise faults.invalid("Policy Error: null")
        for pattern in statement.actions.patterns:
            _in_scope(pattern.text)
        for pattern in statement.resources.patterns:
            if pattern.text != "*" and not pattern.text.startswith("arn:aws:sns:"):
                raise faults.invalid("Invalid policy element")
    return json.dumps(json.loads(text), separators=(",", ":"))


def pinned(call: Call, attributes: Document) -> Document:
    """Attributes that were `checked`, as they are stored. Raises InvalidParameter when the policy among them names
    somebody who is not there. To be called before the transaction that stores them: a policy may name hundreds."""
    if attributes.get("Policy") is None:
        return attributes
    try:
        policy = call.platform.stores.records.read(lambda known: principals.pin(known, attributes["Policy"]))
        return {**attributes, "Policy": policy}
    except principals.UnknownPrincipal:
        raise faults.invalid("Policy Error: PrincipalNotFound") from None


def _in_scope(action: str) -> None:
    vendor, _, name = action.lower().partition(":")
    if action != "*" and (vendor != "sns" or ("*" not in name and name not in _IN_SCOPE)):
        raise faults.invalid("Policy statement action out of service scope!")


@operations.handles("AddPermission")
def add_permission(call: Call, given: Document) -> Document:
    for name in given["ActionName"]:
        _in_scope(f"SNS:{name}")
    if not given["ActionName"] or not given["AWSAccountId"]:
        raise faults.invalid("Policy Error: null")
    if not all(_ACCOUNT.fullmatch(account) for account in given["AWSAccountId"]):
        raise faults.invalid("AWSAccountId")
    accounts = [f"arn:aws:iam::{account}:root" for account in given["AWSAccountId"]]
    actions = [f"SNS:{name}" for name in given["ActionName"]]

    def change(_: Connection, topic: Record) -> Document:
        policy = json.loads(text_of(topic))
        statements = _statements(policy)
        if any(each.get("Sid") == given["Label"] for each in statements):
            raise faults.invalid("Statement already exists")
        added = {
            "Sid": given["Label"],
            "Effect": "Allow",
            "Principal": {"AWS": accounts[0] if len(accounts) == 1 else accounts},
            "Action": actions[0] if len(actions) == 1 else actions,
            "Resource": topic.arn,
        }
        return {**policy, "Statement": [*statements, added]}

    _change(call, given, change)
    return {}


@operations.handles("RemovePermission")
def remove_permission(call: Call, given: Document) -> Document:
    """A label that is not there is fine."""

    def change(_: Connection, topic: Record) -> Document:
        policy = json.loads(text_of(topic))
        left = [each for each in _statements(policy) if each.get("Sid") != given["Label"]]
        return {**policy, "Statement": left} if left else default(topic)

    _change(call, given, change)
    return {}


def _statements(policy: Document) -> list[Document]:
    found = policy["Statement"]
    return [found] if isinstance(found, dict) else found


def _change(call: Call, given: Document, change: topic_records.Change) -> None:
    def policy(connection: Connection, topic: Record) -> Document:
        return {"Policy": checked(json.dumps(change(connection, topic)))}

    topic_records.change(call, given, policy)
