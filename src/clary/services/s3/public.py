"""Whether a bucket's policy makes it public, as Block Public Access counts: a policy is public unless each of its
statements that allow something to everybody holds for fixed values only of keys that tell callers apart."""

from __future__ import annotations

import ipaddress

from clary.auth.policy import Policy
from clary.auth.policy.conditions import Condition, NullCondition
from clary.auth.policy.language import Statement

_FIXED_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalservicename",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
_WIDEST = {4: 8, 6: 32}  # the shortest prefixes of networks that do not count as everybody


def is_public(policy: Policy) -> bool:
    return any(statement.allow and _open(statement) for statement in policy.statements)


def _open(statement: Statement) -> bool:
    whom = statement.whom
    if whom is None or not (whom.inverted or whom.everybody or whom.everyone_of_aws):
        return False
    return not any(_narrows(condition) for condition in statement.conditions)


def _narrows(condition: Condition | NullCondition) -> bool:
    if isinstance(condition, NullCondition) or condition.negated or condition.absent:
        return False
    if condition.key not in _FIXED_KEYS or not condition.values:
        return False
    return all(_fixed(condition.key, value) for value in condition.values)


def _fixed(key: str, value: str) -> bool:
    if key == "aws:sourceip":
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return False
        return network.prefixlen >= _WIDEST[network.version]
    if "${" in value:
        return False
    if key == "aws:userid" and value.endswith(":*"):  # all sessions of one role
        value = value.removesuffix(":*")
    if key == "aws:sourcearn":  # the account has to be fixed, the resource need not be
        parts = value.split(":", 5)
        return len(parts) == 6 and parts[4] != "" and not {"*", "?"} & set(parts[4])
    return "*" not in value and "?" not in value
