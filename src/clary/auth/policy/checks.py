"""The checks that IAM makes of a policy before it stores it, in its words and order."""

from __future__ import annotations

import re
from collections.abc import Iterable

from clary.auth.policy.language import VERSIONS, MalformedPolicy, Policy, Statement

_PARTITIONS = ("*", "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc")
_SID = re.compile(r"[0-9A-Za-z]*", re.ASCII)
_VENDOR = re.compile(r"[a-zA-Z0-9\-.]+", re.ASCII)
_IAM_PATHS = (
    *("user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/"),
    *("sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"),
)
_TRUST_ACTIONS = frozenset(
    f"sts:{name}".lower()
    for name in (
        *("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "DecodeAuthorizationMessage"),
        *("GetAccessKeyInfo", "GetCallerIdentity", "GetFederationToken", "GetServiceBearerToken", "GetSessionToken"),
        *("SetSourceIdentity", "SetContext", "TagSession"),
    )
)


def identity(policy: Policy, newest: bool = False) -> None:
    """Of a policy that users, groups and roles have; `newest`: only the newest version of the language will do, as for
    managed policies. Raises MalformedPolicy."""
    if newest and policy.version != VERSIONS[0]:
        raise MalformedPolicy("Policy document must be version 2012-10-17 or greater.")
    if any(statement.whom is not None for statement in policy.statements):
        raise MalformedPolicy("Policy document should not specify a principal.")
    _sids(policy)
    _actions(policy.statements)
    for statement in policy.statements:
        for pattern in statement.resources.patterns if statement.resources else ():
            _resource(pattern.text)
    for statement in policy.statements:
        if statement.resources is None or not statement.resources.patterns:
            raise MalformedPolicy("Policy statement must contain resources.")


def trust(policy: Policy) -> None:
    """Of a policy that says who may assume a role. Raises MalformedPolicy."""
    for statement in policy.statements:
        if statement.resources is not None:
            raise MalformedPolicy("Has prohibited field Resource")
        if statement.whom is None:
            raise MalformedPolicy("Missing required field Principal")
        if statement.actions is None or not statement.actions.patterns:
            raise MalformedPolicy("Missing required field Action")
    _sids(policy)
    for statement in policy.statements:
        for pattern in statement.actions.patterns if statement.actions else ():
            if pattern.text not in ("*", "sts:*") and pattern.text.lower() not in _TRUST_ACTIONS:
                raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")


def _sids(policy: Policy) -> None:
    sids = [statement.sid for statement in policy.statements if statement.sid]
    if len(set(sids)) != len(sids):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
    if not all(_SID.fullmatch(sid) for sid in sids):
        raise MalformedPolicy(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )


def _actions(statements: Iterable[Statement]) -> None:
    for statement in statements:
        if statement.actions is None or not statement.actions.patterns:
            raise MalformedPolicy("Policy statement must contain actions.")
        for pattern in statement.actions.patterns:
            action(pattern.text)


def action(text: str) -> None:
    """Raises MalformedPolicy for what is no name of actions."""
    vendor, colon, rest = text.partition(":")
    if text == "*":
        return
    if not colon:
        raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if ":" in rest:
        raise MalformedPolicy("Actions/Condition can contain only one colon.")
    if not _VENDOR.fullmatch(vendor):
        raise MalformedPolicy(f"Vendor {vendor} is not valid")


def _resource(text: str) -> None:
    if text == "*" or text.startswith("${"):
        return
    if ":" not in text:
        raise MalformedPolicy(f'Resource {text} must be in ARN format or "*".')
    parts = text.split(":", 5)
    if parts[1] not in _PARTITIONS:
        rest = ":".join((parts[2:] + ["*"] * 4)[: max(4, len(parts) - 2)])
        raise MalformedPolicy(f'Partition "{parts[1]}" is not valid for resource "arn:{parts[1]}:{rest}".')
    if len(parts) < 3 or not parts[2]:
        raise MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.")
    if len(parts) == 6:
        _placed(text, parts)
    elif "*" not in text:
        raise MalformedPolicy("The policy failed legacy parsing")


def _placed(text: str, parts: list[str]) -> None:
    """Of a whole ARN: what global services do not have."""
    service, region, resource = parts[2], parts[3], parts[5]
    if service == "iam":
        if region:
            raise MalformedPolicy(f"IAM resource {text} cannot contain region information.")
        if not resource.startswith(("*", "root", "${", *_IAM_PATHS)):
            named = ", ".join(_IAM_PATHS)
            raise MalformedPolicy(f'IAM resource path must either be "*" or start with {named}.')
    if service == "s3" and region and not resource.startswith("accesspoint/"):
        raise MalformedPolicy(f"Resource {text} can not contain region information.")
