"""Key policies: every key has one, called default. Without its leave nobody may do anything with the key."""

from __future__ import annotations

import json

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, MalformedPolicy, Policy, Standing, decide, parse
from clary.errors import ServiceError
from clary.services.iam import principals
from clary.services.kms import keys, paging
from clary.services.kms.asking import Asker
from clary.services.kms.changing import changing
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

operations = Operations()

_NAME = "default"
_MOST_CHARACTERS = 32_768
_EVERYTHING = parse({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]})


def default(account: str) -> str:
    """Leaves it to the account's IAM policies."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return written({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def written(document: Document) -> str:
    """As AWS writes the policies that it makes itself."""
    return json.dumps(document, indent=2, separators=(",", " : "))


def checked(call: Call, given: Document) -> str:
    """The request's policy. Raises MalformedPolicyDocumentException, also for one that would lock its author out,
    unless the request says that it may; LimitExceededException."""
    text: str = given["Policy"]
    if len(text) > _MOST_CHARACTERS:
        message = f"The key policy has more than {_MOST_CHARACTERS} characters."
        raise ServiceError("LimitExceededException", message)
    try:
        policy = parse(text)
    except MalformedPolicy as error:
        raise _malformed(error.message) from None
    for statement in policy.statements:
        for element, there in (
            ("Principal", statement.whom),
            ("Action", statement.actions),
            ("Resource", statement.resources),
        ):
            if there is None:
                raise _malformed(f"Missing required field {element}")
    if not given.get("BypassPolicyLockoutSafetyCheck") and not _lets_change(call, policy):
        raise _malformed("The new key policy will not allow you to update the key policy in the future.")
    return text


def pinned(call: Call, text: str) -> str:
    """A policy that was `checked`, as it is stored. Raises MalformedPolicyDocumentException when it names somebody who
    is not there. To be called before the transaction that stores it: a policy may name hundreds."""
    try:
        return call.platform.stores.records.read(lambda connection: principals.pin(connection, text))
    except principals.UnknownPrincipal:
        raise _malformed("Policy contains a statement with one or more invalid principals.") from None


def _lets_change(call: Call, policy: Policy) -> bool:
    """Whether the policy lets its author, or his account's policies, change it again."""
    standing = Standing((_EVERYTHING,), resource=policy, resource_account=call.account, resource_decides=True)
    return decide(Ask(call.principal, "kms:PutKeyPolicy", "*"), standing).allowed


def _malformed(message: str) -> ServiceError:
    return ServiceError("MalformedPolicyDocumentException", message)


def _require_name(given: Document) -> None:
    if given.get("PolicyName", _NAME) != _NAME:
        raise ServiceError("NotFoundException", "No such policy exists")


@operations.handles("GetKeyPolicy")
def get_key_policy(call: Call, given: Document) -> Document:
    asker = Asker.of(call, given)
    _require_name(given)

    def work(connection: Connection) -> Document:
        policy = keys.find(connection, asker, given["KeyId"]).document["Policy"]
        return {"Policy": principals.show(connection, policy), "PolicyName": _NAME}

    return call.platform.stores.records.read(work)


@operations.handles("PutKeyPolicy")
def put_key_policy(call: Call, given: Document) -> Document:
    _require_name(given)
    asker = Asker.of(call, given)
    call.platform.stores.records.read(lambda connection: keys.find(connection, asker, given["KeyId"]))
    policy = pinned(call, checked(call, given))

    def change(connection: Connection, record: Record, now: float) -> None:
        keys.change(connection, record, now, Policy=policy)

    changing(call, given, change)
    return {}


@operations.handles("ListKeyPolicies")
def list_key_policies(call: Call, given: Document) -> Document:
    asker = Asker.of(call, given)
    call.platform.stores.records.read(lambda connection: keys.find(connection, asker, given["KeyId"]))
    return paging.of_items(call, given, [(_NAME, _NAME)], "PolicyNames", str)
