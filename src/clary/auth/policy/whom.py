"""The Principal and NotPrincipal elements of resource policies: whom a statement is about, and how closely it names
somebody, since that decides what else can limit him."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from clary.auth.principals import Principal, canonical_id

KINDS = ("AWS", "Federated", "Service", "CanonicalUser")

_KIND_OF = {"service": "Service", "federated": "Federated", "anonymous": ""}  # all others are AWS's
_WITH_IDS = ("user", "role-session", "federated-user")
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_ROOT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root", re.ASCII)


class Reach(enum.IntEnum):
    """How a statement reaches a principal. ACCOUNT: through its account, which leaves it to the account's own policies
    who of it may; ROLE: through the role of its session (for a federated user, the user that asked for his session);
    ITSELF: it, or everybody."""

    NOBODY = 0
    ACCOUNT = 1
    ROLE = 2
    ITSELF = 3


@dataclass(frozen=True, slots=True)
class Whom:
    """`everybody`: "*", which anonymous callers and services are too; `everyone_of_aws`: {"AWS": "*"}, which in a Deny
    spares services. `names` are names with their KINDS, of users, roles and sessions ARNs or unique ids; `accounts` are
    account numbers, `canonical` what S3 calls these."""

    inverted: bool
    everybody: bool
    everyone_of_aws: bool
    names: frozenset[tuple[str, str]]
    accounts: frozenset[str]
    canonical: frozenset[str]

    def reach(self, principal: Principal, allow: bool, bounded: bool = False) -> Reach:
        """How a statement about `self` reaches `principal`; `allow` is whether it is an Allow, `bounded` whether he has
        a permissions boundary.

        NotPrincipal: an Allow reaches whom it does not name in any way; a Deny spares whom it names in every way, that
        is, with his account and, of a session, with its role. As AWS has it, it never spares one with a boundary."""
        if not self.inverted:
            return max(self._named(principal))
        named = list(self._named(principal))
        spared = any(named) if allow else all(named) and not bounded
        return Reach.NOBODY if spared else Reach.ITSELF

    def _named(self, principal: Principal) -> Iterator[Reach]:
        """For each way to name `principal`: its Reach, or NOBODY when it is not named that way."""
        everybody = self.everybody or (self.everyone_of_aws and principal.kind != "service")
        kind = _KIND_OF.get(principal.kind, "AWS")
        itself = (kind, principal.arn) in self.names or self._has_id(principal, principal.user_id)
        yield Reach.ITSELF if everybody or itself else Reach.NOBODY
        if kind != "AWS":
            return
        if principal.kind in ("role-session", "federated-user"):
            role = principal.role and ("AWS", role_arn(principal)) in self.names
            named = everybody or role or self._has_id(principal, principal.behind)
            yield Reach.ROLE if named else Reach.NOBODY
        yield Reach.ACCOUNT if everybody or self._has_account(principal.account) else Reach.NOBODY

    def _has_id(self, principal: Principal, unique_id: str) -> bool:
        return principal.kind in _WITH_IDS and bool(unique_id) and ("AWS", unique_id) in self.names

    def _has_account(self, account: str) -> bool:
        return account in self.accounts or (bool(self.canonical) and canonical_id(account) in self.canonical)


def role_arn(principal: Principal) -> str:
    """Of the role behind a session."""
    return f"arn:aws:iam::{principal.account}:role/{principal.role}"


def whom(named: dict[str, tuple[str, ...]] | None, inverted: bool) -> Whom:
    """`named`: the names by KINDS; None for "*"."""
    given = named or {}
    aws = given.get("AWS", ())
    accounts = {found[1] for name in aws if (found := _ROOT.fullmatch(name))}
    accounts |= {name for name in aws if _ACCOUNT.fullmatch(name)}
    names = {(kind, name) for kind, listed in given.items() for name in listed}
    canonical = frozenset(given.get("CanonicalUser", ()))
    everybody = named is None
    return Whom(inverted, everybody, "*" in aws, frozenset(names), frozenset(accounts), canonical)
