"""May this principal do that? AWS's order of policies, for one action on one resource.

An explicit deny anywhere decides. Within an account an Allow of the identity's policies is enough, narrowed by its
permissions boundary and its session's policies; so is one of the resource's policy, narrowed as far as it does not name
the caller himself: one that names a session's role is narrowed by boundary and session policies, one that names the
account leaves it to the identity's policies. Between accounts both sides have to allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from clary.auth.policy.language import Policy, Statement
from clary.auth.policy.patterns import Context
from clary.auth.policy.whom import Reach
from clary.auth.principals import Principal

Kind = Literal["identity", "boundary", "session", "resource"]
Why = Literal["allowed", "explicit", "implicit"]

_WITHOUT_POLICIES = ("anonymous", "service", "federated")  # principals that have none of their own


@dataclass(frozen=True, slots=True)
class Ask:
    """`action` as "s3:GetObject"; `resource` an ARN, or "*" for actions that are about none; `context` holds the
    condition keys, lower-cased."""

    principal: Principal
    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """What bears on a decision.

    `identity`: the policies of the user and its groups, or of the role, managed and inline. `session`: those that came
    with the session; None when none narrows it, empty when nothing passes. `resource_account` owns the resource; empty
    when it is nobody's in particular, then it is as if it were the caller's. `resource_decides`: without an Allow of
    the resource's policy nobody comes in, the account's own root included, as with KMS keys and the trust policies of
    roles."""

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    resource: Policy | None = None
    resource_account: str = ""
    resource_decides: bool = False


@dataclass(frozen=True, slots=True)
class Matched:
    """A statement that led to a decision."""

    kind: Kind
    policy: Policy
    statement: Statement


@dataclass(frozen=True, slots=True)
class Decision:
    """`kind` says which policies decided: those that allowed or denied, or, when nothing did, where an Allow is missing
    first. `statements` are those that applied there."""

    allowed: bool
    why: Why
    kind: Kind
    statements: tuple[Matched, ...] = ()


def decide(ask: Ask, standing: Standing) -> Decision:
    denied = tuple(_denials(ask, standing))
    if denied:
        return Decision(False, "explicit", denied[0].kind, denied)
    grants, reach = _granted(ask, standing.resource)
    principal = ask.principal
    home = not standing.resource_account or standing.resource_account == principal.account
    needed = not home or standing.resource_decides or principal.kind in _WITHOUT_POLICIES
    if needed and not grants:
        return Decision(False, "implicit", "resource")
    by_resource = Decision(True, "allowed", "resource", grants)
    if principal.kind in _WITHOUT_POLICIES or (home and reach is Reach.ITSELF):
        return by_resource
    if home and reach is Reach.ROLE:
        return _narrowed(ask, standing) or by_resource
    return _by_identity(ask, standing)


def _by_identity(ask: Ask, standing: Standing) -> Decision:
    if ask.principal.kind == "root":
        return Decision(True, "allowed", "identity")
    allowing = tuple(_matched("identity", standing.identity, ask, allow=True))
    if not allowing:
        return Decision(False, "implicit", "identity")
    return _narrowed(ask, standing) or Decision(True, "allowed", "identity", allowing)


def _narrowed(ask: Ask, standing: Standing) -> Decision | None:
    """None when neither a boundary nor the session's policies stand in the way."""
    if standing.boundary is not None and not any(_matched("boundary", (standing.boundary,), ask, allow=True)):
        return Decision(False, "implicit", "boundary")
    if standing.session is not None and not any(_matched("session", standing.session, ask, allow=True)):
        return Decision(False, "implicit", "session")
    return None


def _denials(ask: Ask, standing: Standing) -> Iterator[Matched]:
    yield from _matched("identity", standing.identity, ask, allow=False)
    if standing.resource is not None:
        for statement in standing.resource.about(ask.action):
            if not statement.allow and _reach(statement, ask) and statement.applies(ask.resource, ask.context):
                yield Matched("resource", standing.resource, statement)
    if standing.boundary is not None:
        yield from _matched("boundary", (standing.boundary,), ask, allow=False)
    yield from _matched("session", standing.session or (), ask, allow=False)


def _granted(ask: Ask, policy: Policy | None) -> tuple[tuple[Matched, ...], Reach]:
    """The resource policy's statements that allow it, and the closest reach of any."""
    closest, found = Reach.NOBODY, []
    for statement in policy.about(ask.action) if policy is not None else ():
        if not statement.allow:
            continue
        reach = _reach(statement, ask)
        if policy is not None and reach and statement.applies(ask.resource, ask.context):
            closest = max(closest, reach)
            found.append(Matched("resource", policy, statement))
    return tuple(found), closest


def _reach(statement: Statement, ask: Ask) -> Reach:
    return statement.whom.reach(ask.principal, statement.allow) if statement.whom is not None else Reach.NOBODY


def _matched(kind: Kind, policies: Sequence[Policy], ask: Ask, allow: bool) -> Iterator[Matched]:
    """Statements of policies that are about no principal in particular."""
    for policy in policies:
        for statement in policy.about(ask.action):
            fits = statement.allow == allow and statement.whom is None and statement.resources is not None
            if fits and statement.applies(ask.resource, ask.context):
                yield Matched(kind, policy, statement)
