"""Whoever makes a request, as policies see him."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clary.auth.policy.decision import Ask, Decision, Standing, decide, settled
from clary.auth.policy.language import Policy
from clary.auth.policy.patterns import Context
from clary.auth.principals import Principal

_NOTHING: Mapping[str, Sequence[str]] = {}
_MOST_KNOWN = 1024  # actions that an identity remembers what it settles of


@dataclass(frozen=True, slots=True)
class Identity:
    """The principal's side of a decision, and the condition keys (lower-cased) that are his whatever he asks for:
    aws:username, aws:PrincipalTag/<key>, aws:TokenIssueTime and the like. `policies`, `boundary` and `session` are as
    in Standing."""

    policies: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    facts: Context = field(default_factory=dict)
    _known: dict[tuple[str, str], Decision | None] = field(init=False, repr=False, compare=False, default_factory=dict)

    def settled(self, kind: str, action: str) -> Decision | None:
        """The decision for `action` of a principal of that kind where no resource's side has a word in it, and neither
        resource nor request can change it; None when they can. Remembered: an identity is never other than it was
        made, and whoever makes another begins anew."""
        key = (kind, action)
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = settled(kind, action, Standing(self.policies, self.boundary, self.session))
            self._known[key] = found
            return found


_NO_POLICIES = Identity()


class Side(NamedTuple):
    """The resource's side: whose it is, what its own policy says, and whether that alone lets anybody in (the members
    of Standing that begin with `resource`)."""

    account: str = ""
    policy: Policy | None = None
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """Which of a resource's versions a question is about: the current one, unless `id` names another or it is one that
    is yet to be made."""

    id: str | None = None
    new: bool = False


CURRENT = Version()
NEW = Version(new=True)
Sides = Callable[[Principal, str, str, Version], Side]  # (principal, action, resource, version)


def nobodys(_principal: Principal, _action: str, _resource: str, _version: Version) -> Side:
    """The side of resources that have no policies of their own."""
    return Side()


class _Both(Mapping[str, Sequence[str]]):
    """Keys of the question over keys of the request, neither copied: most are never looked at."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Context, second: Context) -> None:
        self._first = first
        self._second = second

    def get(self, key: str, default: Any = None) -> Any:
        found = self._first.get(key)
        return self._second.get(key, default) if found is None else found

    def __getitem__(self, key: str) -> Sequence[str]:
        return self._first[key] if key in self._first else self._second[key]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._second, **self._first})

    def __len__(self) -> int:
        return len({**self._second, **self._first})


class Caller(NamedTuple):
    """A principal in one request. `context` are the request's condition keys, lower-cased; `sides` says whose a
    resource is and what its policy says."""

    principal: Principal
    identity: Identity = _NO_POLICIES
    context: Context = _NOTHING
    sides: Sides = nobodys

    def decide(
        self, action: str, resource: str = "*", context: Context = _NOTHING, version: Version = CURRENT
    ) -> Decision:
        """Whether he may; `context` are further keys of this question."""
        side = self.sides(self.principal, action, resource, version)
        if side.policy is None and not side.decides and side.account in ("", self.principal.account):
            found = self.identity.settled(self.principal.kind, action)
            if found is not None:
                return found
        mine = self.identity
        standing = Standing(mine.policies, mine.boundary, mine.session, side.policy, side.account, side.decides)
        return decide(self.ask(action, resource, context), standing)

    def ask(self, action: str, resource: str = "*", context: Context = _NOTHING) -> Ask:
        keys = self.context if context is _NOTHING else _Both(context, self.context)
        return Ask(self.principal, action, resource, keys)
