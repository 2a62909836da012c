"""May this principal do that? AWS's order of policies, for one action on one resource.

An explicit deny anywhere decides. Within an account an Allow of the identity's policies is enough, narrowed by its
permissions boundary and its session's policies; so is one of the resource's policy, narrowed as far as it does not name
the caller himself: one that names a session's role is narrowed by boundary and session policies, one that names the
account leaves it to the identity's policies. Between accounts both sides have to allow.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    mine = _applying("identity", standing.identity, ask)
    theirs, reach = _of_resource(ask, standing.resource, standing.boundary is not None)
    limits = [_applying("boundary", (standing.boundary,), ask)] if standing.boundary is not None else []
    if standing.session is not None:
        limits.append(_applying("session", standing.session, ask))
    denied = (*mine.denying, *theirs.denying, *(each for limit in limits for each in limit.denying))
    if denied:
        return Decision(False, "explicit", denied[0].kind, denied)
    principal = ask.principal
    home = not standing.resource_account or standing.resource_account == principal.account
    needed = not home or standing.resource_decides or principal.kind in _WITHOUT_POLICIES
    if needed and not theirs.allowing:
        return Decision(False, "implicit", "resource")
    by_resource = Decision(True, "allowed", "resource", tuple(theirs.allowing))
    if principal.kind in _WITHOUT_POLICIES or (home and reach is Reach.ITSELF):
        return by_resource
    if home and reach is Reach.ROLE:
        return _narrowed(limits) or by_resource
    if principal.kind != "root" and not mine.allowing:
        return Decision(False, "implicit", "identity")
    return _narrowed(limits) or Decision(True, "allowed", "identity", tuple(mine.allowing))


def settled(kind: str, action: str, standing: Standing) -> Decision | None:
    """What `decide` says of `action`, asked by a principal of that kind, where it is the same for every resource and
    request: `standing` has no resource side, something allows everything and nothing denies anything. None where the
    resource or the request may matter."""
    if kind in _WITHOUT_POLICIES:
        return None
    mine = _unconditional("identity", standing.identity, action)
    limits = [] if standing.boundary is None else [_unconditional("boundary", (standing.boundary,), action)]
    if standing.session is not None:
        limits.append(_unconditional("session", standing.session, action))
    if mine is None or not (mine.allowing or kind == "root") or not all(each and each.allowing for each in limits):
        return None
    return Decision(True, "allowed", "identity", tuple(mine.allowing))


class _Applying:
    """The statements of one kind of policies that apply."""

    __slots__ = ("allowing", "denying", "kind")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.allowing: list[Matched] = []
        self.denying: list[Matched] = []

    def add(self, policy: Policy, statement: Statement) -> None:
        found = self.allowing if statement.allow else self.denying
        found.append(Matched(self.kind, policy, statement))


def _applying(kind: Kind, policies: Sequence[Policy], ask: Ask) -> _Applying:
    """Of policies that are about no principal in particular. Conditions may be dear to look at: what allows on a
    condition is looked at last, and only when nothing allows without."""
    found, later = _Applying(kind), []
    for policy in policies:
        for statement in policy.about(ask.action):
            if statement.whom is not None or statement.resources is None:
                continue
            if statement.allow and statement.conditions:
                later.append((policy, statement))
            elif statement.applies(ask.resource, ask.context):
                found.add(policy, statement)
    for policy, statement in later if not found.allowing else ():
        if statement.applies(ask.resource, ask.context):
            found.add(policy, statement)
    return found


def _unconditional(kind: Kind, policies: Sequence[Policy], action: str) -> _Applying | None:
    """The statements that allow `action` whatever it is about, as `_applying` looks at them; None when one denies it of
    something."""
    found = _Applying(kind)
    for policy in policies:
        for statement in policy.about(action):
            if statement.whom is not None or statement.resources is None:
                continue
            if not statement.allow:
                return None
            if statement.unconditional:
                found.add(policy, statement)
    return found


def _of_resource(ask: Ask, policy: Policy | None, bounded: bool) -> tuple[_Applying, Reach]:
    """The resource policy's statements about the principal, and the closest reach of those that allow."""
    closest, found = Reach.NOBODY, _Applying("resource")
    for statement in policy.about(ask.action) if policy is not None else ():
        whom = statement.whom
        reach = Reach.NOBODY if whom is None else whom.reach(ask.principal, statement.allow, bounded)
        if policy is not None and reach and statement.applies(ask.resource, ask.context):
            found.add(policy, statement)
            closest = max(closest, reach) if statement.allow else closest
    return found, closest


def _narrowed(limits: Sequence[_Applying]) -> Decision | None:
    """None when neither a boundary nor the session's policies stand in the way."""
    for limit in limits:
        if not limit.allowing:
            return Decision(False, "implicit", limit.kind)
    return None
