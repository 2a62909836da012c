"""What grants allow: whom, which operations, with which encryption contexts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.services.kms import paging
from clary.services.kms.asking import GRANT
from clary.store.records import Record


def granted(
    connection: Connection,
    key: Record,
    principal: Principal,
    operation: str,
    context: Mapping[str, str] | None,
    made: Mapping[str, Any] | None = None,
) -> bool:
    """Whether a grant of the key lets `principal` do `operation` (a name of grants: ReEncryptFrom, not ReEncrypt).
    `context` is the request's encryption context; None for operations that have none. `made` are the
    terms of a grant that is to be made by this one: it gives nothing that this one does not."""
    names = _names(principal)
    return any(
        each.document["GranteePrincipal"] in names
        and operation in each.document["Operations"]
        and _meets(each.document.get("Constraints") or {}, context)
        and (made is None or _within(each.document, made))
        for each in paging.children(connection, GRANT, key)
    )


def retires(grant: Record, principal: Principal) -> bool:
    """Whether the grant itself lets `principal` retire it."""
    names, terms = _names(principal), grant.document
    if terms.get("RetiringPrincipal") in names:
        return True
    return terms["GranteePrincipal"] in names and "RetireGrant" in terms["Operations"]


def _names(principal: Principal) -> frozenset[str]:
    """How a stored grant may name `principal`: as itself, by its role, by its account. Users, roles and their sessions
    are named by their unique ids there (`clary.services.iam.principals`)."""
    names = {principal.account, f"arn:aws:iam::{principal.account}:root"}
    match principal.kind:
        case "user":
            names.add(principal.user_id)
        case "role-session":
            names |= {principal.user_id, principal.behind}
        case _:
            names.add(principal.arn)
    return frozenset(names)


def _meets(constraints: Mapping[str, Mapping[str, str]], context: Mapping[str, str] | None) -> bool:
    """Constraints are about operations that have an encryption context; the others they do not concern."""
    if context is None:
        return True
    subset, equal = constraints.get("EncryptionContextSubset"), constraints.get("EncryptionContextEquals")
    if subset is not None and not subset.items() <= context.items():
        return False
    return equal is None or dict(equal) == dict(context)


def _within(grant: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether `made` lets nobody do what `grant` does not: no further operation, no further encryption context."""
    outer, inner = grant.get("Constraints") or {}, made.get("Constraints") or {}
    subset, equal = outer.get("EncryptionContextSubset"), outer.get("EncryptionContextEquals")
    narrow, exact = inner.get("EncryptionContextSubset"), inner.get("EncryptionContextEquals")
    if not set(made["Operations"]) <= set(grant["Operations"]) or (equal is not None and exact != equal):
        return False
    return not subset or any(each is not None and subset.items() <= each.items() for each in (narrow, exact))
