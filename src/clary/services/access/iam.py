"""What the operations of IAM and STS ask for: the entities that they name, with their paths."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from clary.services.access.context import Keys, Tagged, of_tags
from clary.services.access.wanted import Wanted, keys_of, tags_of
from clary.services.operation import Call, Document
from clary.store import records

_REGION = ""
# Which member names an entity: (member, the ARN's type, kind of record). The first that a request has decides.
_NAMED = (
    ("InstanceProfileName", "instance-profile", "iam-instance-profile"),
    ("GroupName", "group", "iam-group"),
    ("RoleName", "role", "iam-role"),
    ("UserName", "user", "iam-user"),
    ("PolicyName", "policy", "iam-policy"),
    ("Name", "saml-provider", "iam-saml-provider"),
)
_ARNS = ("PolicyArn", "PolicySourceArn", "OpenIDConnectProviderArn", "SAMLProviderArn")
_LISTED = {
    "ListUsers": "user",
    "ListRoles": "role",
    "ListGroups": "group",
    "ListPolicies": "policy",
    "ListInstanceProfiles": "instance-profile",
}
_OWN = frozenset({"AccessKey", "User", "LoginProfile", "SSHPublicKey", "SigningCertificate", "MFADevices"})
_FREE = frozenset({"GetCallerIdentity", "GetSessionToken"})  # nobody needs to be allowed these
_RENAMING = {"UpdateUser": "User", "UpdateGroup": "Group"}
_KEYS = {
    "iam:policyarn": "PolicyArn",
    "iam:permissionsboundary": "PermissionsBoundary",
    "iam:awsservicename": "AWSServiceName",
}


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    """Of IAM."""
    resource = _resource(call, given)
    keys = Tagged("iam", lambda: _context(given), lambda: _tags(call, resource))
    yield Wanted(f"iam:{call.operation}", resource, keys)
    if call.operation.startswith("Create") and given.get("Tags"):
        yield Wanted(f"iam:Tag{call.operation.removeprefix('Create')}", resource, keys)
    if call.operation in _RENAMING:
        yield Wanted(f"iam:{call.operation}", _renamed(call, given, resource), keys)
    if call.operation == "AddRoleToInstanceProfile":
        role = _entity(call, {"RoleName": given["RoleName"]})
        yield passing("ec2.amazonaws.com", role or "*", call)


def _context(given: Document) -> Keys:
    keys: Keys = {**keys_of(given, _KEYS), **of_tags(tags_of(given.get("Tags")))}
    if given.get("TagKeys"):
        keys["aws:tagkeys"] = tuple(given["TagKeys"])
    return keys


def _tags(call: Call, arn: str) -> Mapping[str, str]:
    """Of whatever in the caller's account has that ARN."""
    found = call.platform.stores.records.read(lambda connection: records.by_arn(connection, arn))
    return tags_of(found.document.get("Tags")) if found is not None and found.account == call.account else {}


def passing(service: str, role: str, call: Call, **more: tuple[str, ...]) -> Wanted:
    """That a role (its ARN) may be passed to `service`; `more` are further members of the context."""
    keys: Keys = {"iam:passedtoservice": (service,), **more}
    return Wanted("iam:PassRole", role, Tagged("iam", lambda: keys, lambda: _tags(call, role)))


def of_sts(call: Call, given: Document) -> Iterator[Wanted]:
    """Of STS. Roles that are to be assumed are asked for where they are looked up (`services.sts`): what a role trusts
    decides there."""
    if call.operation in _FREE or call.operation.startswith("AssumeRole"):
        return
    resource = "*"
    if call.operation == "GetFederationToken":
        resource = f"arn:aws:sts::{call.account}:federated-user/{given['Name']}"
    yield Wanted(f"sts:{call.operation}", resource, of_tags(tags_of(given.get("Tags"))))


def _resource(call: Call, given: Document) -> str:
    entities = {name: value for name, value in given.items() if not _is_inline(call.operation, name)}
    found = _entity(call, entities)
    if found is not None:
        return found
    if call.operation == "GetAccessKeyLastUsed":
        return _owner(call, given["AccessKeyId"])
    for member in _ARNS:
        if given.get(member):
            return str(given[member])
    if call.operation in _LISTED:
        return f"arn:aws:iam::{call.account}:{_LISTED[call.operation]}{given.get('PathPrefix') or '/'}"
    if call.principal.kind == "user" and any(name in call.operation for name in _OWN):
        return call.principal.arn
    return "*"


def _renamed(call: Call, given: Document, resource: str) -> str:
    """The ARN that the user or group at `resource` is to have. Whoever may change one may not so take the name, and
    what is let do by name, of another."""
    noun = _RENAMING[call.operation]
    kind, _, rest = resource.split(":", 5)[5].partition("/")
    path, _, name = f"/{rest}".rpartition("/")
    path, name = given.get("NewPath") or f"{path}/", given.get(f"New{noun}Name") or name
    return f"arn:aws:iam::{call.account}:{kind}{path}{name}"


def _is_inline(operation: str, member: str) -> bool:
    """Whether PolicyName is the name of a policy inside another entity."""
    return member == "PolicyName" and operation != "CreatePolicy"


def _entity(call: Call, given: Mapping[str, Any]) -> str | None:
    """The ARN of the entity named; of one that is not there yet, what it would be."""
    for member, kind, record_kind in _NAMED:
        name = given.get(member)
        if not isinstance(name, str):
            continue
        if not call.operation.startswith("Create") or "Path" not in given:
            found = call.platform.stores.records.read(
                functools.partial(records.find, kind=record_kind, account=call.account, region=_REGION, name=name)
            )
            if found is not None:
                return found.arn
        return f"arn:aws:iam::{call.account}:{kind}{given.get('Path') or '/'}{name}"
    return None


def _owner(call: Call, key: str) -> str:
    """The ARN of whose access key it is; "*" for a key that is nobody's of this account."""
    found = call.platform.stores.records.read(
        functools.partial(records.find, kind="iam-access-key", account=call.account, region=_REGION, name=key)
    )
    return "*" if found is None or found.parent is None else found.parent
