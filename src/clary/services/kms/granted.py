"""What grants allow: whom, which operations, with which encryption contexts."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.services.kms import paging
from clary.services.kms.asking import GRANT
from clary.store.records import Record


def granted(
    connection: Connection, key: Record, principal: Principal, operation: str, context: Mapping[str, str] | None
) -> bool:
    """Whether a grant of the key lets `principal` do `operation` (a name of grants: ReEncryptFrom, not ReEncrypt).
    `context` is the request's encryption context; None for operations that have none."""
    names = _names(principal)
    return any(
        each.document["GranteePrincipal"] in names
        and operation in each.document["Operations"]
        and _meets(each.document.get("Constraints") or {}, context)
        for each in paging.children(connection, GRANT, key)
    )


def retires(grant: Record, principal: Principal) -> bool:
    """Whether the grant itself lets `principal` retire it."""
    names, terms = _names(principal), grant.document
    if terms.get("RetiringPrincipal") in names:
        return True
    return terms["GranteePrincipal"] in names and "RetireGrant" in terms["Operations"]


def _names(principal: Principal) -> frozenset[str]:
    """How a grant may name `principal`: as itself, by its role, by its account."""
    names = {principal.arn, principal.account, f"arn:aws:iam::{principal.account}:root"}
    if principal.role:
        names.add(f"arn:aws:iam::{principal.account}:role/{principal.role}")
    return frozenset(names)


def _meets(constraints: Mapping[str, Mapping[str, str]], context: Mapping[str, str] | None) -> bool:
    """Constraints are about operations that have an encryption context; the others they do not concern."""
    if context is None:
        return True
    subset, equal = constraints.get("EncryptionContextSubset"), constraints.get("EncryptionContextEquals")
    if subset is not None and not subset.items() <= context.items():
        return False
    return equal is None or dict(equal) == dict(context)
