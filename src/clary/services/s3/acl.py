"""Access control lists: what they are, how requests write them, what they let whom do.

A list is stored as {Owner, Grants}: `Owner` is an account's number, `Grants` are as the API has them. What has none
belongs to the bucket's owner, who alone has rights. Where the bucket owner is enforced (the default) no list counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clary.auth.policy import Policy, parse
from clary.auth.principals import canonical_id
from clary.errors import ServiceError
from clary.services.s3 import faults

Acl = Mapping[str, Any]
Grants = list[dict[str, Any]]

_GROUPS = "http://acs.amazonaws.com/groups/"
ALL_USERS, AUTHENTICATED = f"{_GROUPS}global/AllUsers", f"{_GROUPS}global/AuthenticatedUsers"
_LOG_DELIVERY = f"{_GROUPS}s3/LogDelivery"
_PUBLIC = (ALL_USERS, AUTHENTICATED)
_PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
_HEADERS = {
    "GrantFullControl": "FULL_CONTROL",
    "GrantRead": "READ",
    "GrantWrite": "WRITE",
    "GrantReadACP": "READ_ACP",
    "GrantWriteACP": "WRITE_ACP",
}
MEMBERS = ("ACL", *_HEADERS)
_ASKED = (*MEMBERS, "AccessControlPolicy")
OBJECT_MEMBERS = tuple(each for each in MEMBERS if each != "GrantWrite")
# What canned lists grant besides the owner's full control.
_TO_GROUPS: Mapping[str, Sequence[tuple[str, str]]] = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED, "READ"),),
    "log-delivery-write": ((_LOG_DELIVERY, "WRITE"), (_LOG_DELIVERY, "READ_ACP")),
}
_TO_BUCKET_OWNER = {"bucket-owner-read": "READ", "bucket-owner-full-control": "FULL_CONTROL"}
_MOST_GRANTS = 100
_CANONICAL = re.compile(r"[0-9a-f]{64}")
_GRANTEE = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*"?([^",]*)"?\s*')
_BUCKET_ACTIONS: Mapping[str, Sequence[str]] = {
    "READ": ("ListBucket", "ListBucketVersions", "ListBucketMultipartUploads"),
    "WRITE": ("PutObject", "PutObjectAcl"),
    "READ_ACP": ("GetBucketAcl",),
    "WRITE_ACP": ("PutBucketAcl",),
}
_OBJECT_ACTIONS: Mapping[str, Sequence[str]] = {
    "READ": ("GetObject", "GetObjectVersion"),
    "READ_ACP": ("GetObjectAcl", "GetObjectVersionAcl"),
    "WRITE_ACP": ("PutObjectAcl", "PutObjectVersionAcl"),
}
# What the list of an object may allow.
OBJECT_ACTIONS = frozenset(f"s3:{action}" for actions in _OBJECT_ACTIONS.values() for action in actions)


def asked(given: Mapping[str, Any], owner: str, bucket_owner: str) -> Grants | None:
    """The grants that a request's headers, or the list in its body, ask for what `owner` (an account) has or makes in a
    bucket of `bucket_owner`; None when it asks for none."""
    if not any(member in given for member in _ASKED):
        return None
    listed = {member: given[member] for member in _HEADERS if given.get(member)}
    canned, policy = given.get("ACL"), given.get("AccessControlPolicy")
    if canned and listed:
        raise faults.invalid_request("Specifying both Canned ACLs and Header Grants is not allowed")
    if policy is not None and (canned or listed):
        raise ServiceError("UnexpectedContent", "This request does not support content")
    if canned:
        return _canned(canned, owner, bucket_owner)
    if listed:
        return [grant for member, text in listed.items() for grant in _of_header(text, _HEADERS[member])]
    return None if policy is None else _of_policy(policy, owner)


def _canned(name: str, owner: str, bucket_owner: str) -> Grants:
    own = _to(owner, "FULL_CONTROL")
    if name in _TO_GROUPS:
        return [own, *(_to_group(uri, permission) for uri, permission in _TO_GROUPS[name])]
    if name in _TO_BUCKET_OWNER:
        return [own] if bucket_owner == owner else [own, _to(bucket_owner, _TO_BUCKET_OWNER[name])]
    if name == "aws-exec-read":
        raise faults.not_implemented(f"x-amz-acl: {name}")
    raise faults.invalid_argument("The canned ACL you provided is not valid", "x-amz-acl", name)


def _to(account: str, permission: str) -> dict[str, Any]:
    return {"Grantee": {"ID": canonical_id(account), "Type": "CanonicalUser"}, "Permission": permission}


def _to_group(uri: str, permission: str) -> dict[str, Any]:
    return {"Grantee": {"Type": "Group", "URI": uri}, "Permission": permission}


def _of_header(text: str, permission: str) -> Iterator[dict[str, Any]]:
    for each in text.split(","):
        found = _GRANTEE.fullmatch(each)
        if found is None:
            raise faults.invalid_argument("Argument format not recognized", "x-amz-grant", text)
        kind, value = found.groups()
        given = {"id": {"ID": value}, "uri": {"URI": value}, "emailAddress": {"EmailAddress": value}}[kind]
        yield {"Grantee": _grantee(given), "Permission": permission}


def _of_policy(policy: Mapping[str, Any], owner: str) -> Grants:
    grants = policy.get("Grants") or []
    if "Owner" not in policy or len(grants) > _MOST_GRANTS:
        raise faults.malformed_xml()
    if policy["Owner"].get("ID") != canonical_id(owner):
        raise faults.access_denied()
    for grant in grants:
        if grant.get("Permission") not in _PERMISSIONS or not grant.get("Grantee"):
            raise faults.malformed_xml()
    return [{"Grantee": _grantee(grant["Grantee"]), "Permission": grant["Permission"]} for grant in grants]


def _grantee(given: Mapping[str, Any]) -> dict[str, str]:
    if given.get("EmailAddress"):  # AWS no longer knows anybody by one either
        message = "The e-mail address you provided does not match any account on record."
        raise ServiceError("UnresolvableGrantByEmailAddress", message)
    if given.get("URI"):
        if given["URI"] not in (*_PUBLIC, _LOG_DELIVERY):
            raise faults.invalid_argument("Invalid group uri", "uri", given["URI"])
        return {"Type": "Group", "URI": given["URI"]}
    identifier = given.get("ID", "")
    if not _CANONICAL.fullmatch(identifier):
        raise faults.invalid_argument("Invalid id", "CanonicalUser/ID", identifier)
    return {"ID": identifier, "Type": "CanonicalUser"}


def stored(owner: str, grants: Grants, bucket_owner: str) -> dict[str, Any] | None:
    """As the row of a bucket or an object keeps it; None for what everything has that nobody was given."""
    plain = owner == bucket_owner and grants == [_to(owner, "FULL_CONTROL")]
    return None if plain else {"Owner": owner, "Grants": grants}


def shown(acl: Acl | None, bucket_owner: str) -> dict[str, Any]:
    """As GetBucketAcl and GetObjectAcl answer."""
    owner = bucket_owner if acl is None else acl["Owner"]
    grants = [_to(owner, "FULL_CONTROL")] if acl is None else acl["Grants"]
    return {"Owner": {"ID": canonical_id(owner)}, "Grants": grants}


def is_public(grants: Sequence[Mapping[str, Any]]) -> bool:
    return any(grant["Grantee"].get("URI") in _PUBLIC for grant in grants)


def is_private(grants: Grants, owner: str) -> bool:
    """Whether nobody but the owner has rights by it."""
    return all(grant["Grantee"].get("ID") == canonical_id(owner) for grant in grants)


def of_bucket(acl: Acl, bucket: str, ignore_public: bool) -> Policy | None:
    """What the list of a bucket allows, as a resource's policy. `ignore_public`: grants to everybody do not count."""
    statements = [
        _statement(grant, f"s3:{action}", f"arn:aws:s3:::{bucket}{'/*' if permission == 'WRITE' else ''}")
        for grant, permission in _permissions(acl, ignore_public)
        for action in _BUCKET_ACTIONS.get(permission, ())
    ]
    return _policy(statements, f"ACL of {bucket}")


def of_object(acl: Acl, arn: str, ignore_public: bool) -> Policy | None:
    """As `of_bucket`, of an object."""
    statements = [
        _statement(grant, f"s3:{action}", _literal(arn))
        for grant, permission in _permissions(acl, ignore_public)
        for action in _OBJECT_ACTIONS.get(permission, ())
    ]
    return _policy(statements, f"ACL of {arn}")


def _permissions(acl: Acl, ignore_public: bool) -> Iterator[tuple[Mapping[str, Any], str]]:
    for grant in acl["Grants"]:
        if ignore_public and grant["Grantee"].get("URI") in _PUBLIC:
            continue
        whole = grant["Permission"] == "FULL_CONTROL"
        yield from ((grant, each) for each in (_PERMISSIONS[1:] if whole else (grant["Permission"],)))


def _statement(grant: Mapping[str, Any], action: str, resource: str) -> dict[str, Any]:
    grantee = grant["Grantee"]
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    match grantee.get("URI"):
        case None:
            return {**statement, "Principal": {"CanonicalUser": grantee["ID"]}}
        case uri if uri == ALL_USERS:
            return {**statement, "Principal": "*"}
        case uri if uri == AUTHENTICATED:  # whoever has an account
            return {**statement, "Principal": "*", "Condition": {"Null": {"aws:PrincipalAccount": "false"}}}
    return {**statement, "Principal": {"Service": "logging.s3.amazonaws.com"}}


def _literal(arn: str) -> str:
    """A key may have what a pattern takes for wildcards."""
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", arn)


def _policy(statements: list[dict[str, Any]], source: str) -> Policy | None:
    return parse({"Version": "2012-10-17", "Statement": statements}, source) if statements else None
