"""Everything about an account's identities in one listing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from sqlalchemy.engine import Connection

from clary.services.iam import (
    documents,
    entities,
    groups,
    instance_profiles,
    managed,
    policies,
    policy_usage,
    policy_versions,
    roles,
    shapes,
    users,
)
from clary.services.iam.policy_usage import Usage
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

operations = Operations()

_LISTS = {
    "User": "UserDetailList",
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "LocalManagedPolicy": "Policies",
    "AWSManagedPolicy": "Policies",
}
_Detail = tuple[str, str, Callable[[], Document]]  # the filter that it falls under, a name, and how it is told


@operations.handles("GetAccountAuthorizationDetails")
def get_account_authorization_details(call: Call, given: Document) -> Document:
    wanted = given.get("Filter") or list(_LISTS)

    def work(connection: Connection) -> Document:
        found = [each for each in _details(connection, call.account) if each[0] in wanted]
        page = shapes.page(
            found, given, "Found", lambda each: (each[0], each[2]()), lambda each: f"{each[0]} {each[1]}"
        )
        answer: Document = {name: [] for name in _LISTS.values()}
        for kind, detail in page.pop("Found"):
            answer[_LISTS[kind]].append(detail)
        return {**answer, **page}

    return call.platform.stores.records.read(work)


def _details(connection: Connection, account: str) -> Iterator[_Detail]:
    tellers = {"User": _user, "Group": _group, "Role": _role}
    for entity, record in entities.with_policies(connection, account):
        yield entity.noun, shapes.name(record), functools.partial(tellers[entity.noun], connection, record)
    usage = policy_usage.of_account(connection, account)
    for record in entities.every(connection, shapes.POLICY, account):
        yield "LocalManagedPolicy", shapes.name(record), functools.partial(_policy, record.document, usage)
    for known in managed.every():
        if usage.attached[known.arn] or usage.boundaries[known.arn]:
            yield "AWSManagedPolicy", known.name, functools.partial(_policy, policies.aws_document(known), usage)


def _common(record: Record, shown: Document, inline: str) -> Document:
    document = record.document
    written = [
        {"PolicyName": name, "PolicyDocument": documents.quoted(text)}
        for name, text in document["InlinePolicies"].items()
    ]
    attached = [policies.reference(arn) for arn in document["AttachedPolicies"]]
    return {**shown, inline: written, "AttachedManagedPolicies": attached}


def _user(_: Connection, record: Record) -> Document:
    shown = {"Tags": [], **users.shown(record)}
    return {**_common(record, shown, "UserPolicyList"), "GroupList": record.document["Groups"]}


def _group(_: Connection, record: Record) -> Document:
    return _common(record, groups.shown(record), "GroupPolicyList")


def _role(connection: Connection, record: Record) -> Document:
    shown = {"Tags": [], **roles.shown(connection, record)}
    for member in ("Description", "MaxSessionDuration"):
        shown.pop(member, None)
    profiles = [instance_profiles.shown(connection, each) for each in instance_profiles.of_role(connection, record)]
    return {**_common(record, shown, "RolePolicyList"), "InstanceProfileList": profiles}


def _policy(document: Document, usage: Usage) -> Document:
    shown = policies.shown(document, usage)
    shown.pop("Tags", None)
    versions = [policy_versions.shown(document, name) for name in document["Versions"]]
    return {**shown, "PolicyVersionList": versions}
