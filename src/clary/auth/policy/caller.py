"""Whoever makes a request, as policies see him."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clary.auth.policy.decision import Ask, Decision, Standing, decide
from clary.auth.policy.language import Policy
from clary.auth.policy.patterns import Context
from clary.auth.principals import Principal

_NOTHING: Mapping[str, Sequence[str]] = {}


@dataclass(frozen=True, slots=True)
class Identity:
    """The principal's side of a decision, and the condition keys (lower-cased) that are his whatever he asks for:
    aws:username, aws:PrincipalTag/<key>, aws:TokenIssueTime and the like. `policies`, `boundary` and `session` are as
    in Standing."""

    policies: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    facts: Context = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
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


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal in one request. `context` are the request's condition keys, lower-cased; `sides` says whose a
    resource is and what its policy says."""

    principal: Principal
    identity: Identity = field(default_factory=Identity)
    context: Context = field(default_factory=dict)
    sides: Sides = nobodys

    def decide(
        self, action: str, resource: str = "*", context: Context = _NOTHING, version: Version = CURRENT
    ) -> Decision:
        """Whether he may; `context` are further keys of this question."""
        return decide(self.ask(action, resource, context), self._standing(action, resource, version))

    def ask(self, action: str, resource: str = "*", context: Context = _NOTHING) -> Ask:
        keys = self.context if context is _NOTHING else _Both(context, self.context)
        return Ask(self.principal, action, resource, keys)

    def _standing(self, action: str, resource: str, version: Version) -> Standing:
        side, mine = self.sides(self.principal, action, resource, version), self.identity
        return Standing(mine.policies, mine.boundary, mine.session, side.policy, side.account, side.decides)
