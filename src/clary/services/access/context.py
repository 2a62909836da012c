"""The condition keys that every request has, made when a policy asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from clary.auth.policy.whom import role_arn
from clary.auth.principals import Principal
from clary.wire.messages import Request

Keys = dict[str, Sequence[str]]

_TYPES = {
    "root": "Account",
    "user": "User",
    "role-session": "AssumedRole",
    "federated-user": "FederatedUser",
    "anonymous": "Anonymous",
    "service": "Service",
    "federated": "FederatedUser",
}


class RequestContext(Mapping[str, Sequence[str]]):
    """Condition keys, lower-cased, of one request: `facts` of the identity, `extra` of the operation, and AWS's global
    ones. `now` is epoch seconds. What a request does not have is not there."""

    def __init__(
        self, principal: Principal, request: Request, region: str, now: float, facts: Mapping[str, Sequence[str]]
    ) -> None:
        self._principal = principal
        self._request = request
        self._region = region
        self._now = now
        self._facts = facts

    def __getitem__(self, key: str) -> Sequence[str]:
        found: Sequence[str] = self.get(key, ())
        if not found:
            raise KeyError(key)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        found = self._facts.get(key)
        if found is None:
            make = _GLOBAL.get(key)
            found = make(self) if make is not None else ()
        return found or default

    def __iter__(self) -> Iterator[str]:
        yield from self._facts
        yield from (key for key in _GLOBAL if key not in self._facts and _GLOBAL[key](self))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def current_time(self) -> Sequence[str]:
        return (datetime.fromtimestamp(self._now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),)

    def epoch_time(self) -> Sequence[str]:
        return (str(int(self._now)),)

    def source_ip(self) -> Sequence[str]:
        return (self._request.peer,) if self._request.peer else ()

    def secure_transport(self) -> Sequence[str]:
        return ("true" if self._request.scheme == "https" else "false",)

    def user_agent(self) -> Sequence[str]:
        return self._request.headers.all("user-agent")[:1]

    def referer(self) -> Sequence[str]:
        return self._request.headers.all("referer")[:1]

    def requested_region(self) -> Sequence[str]:
        return (self._region,)

    def principal_arn(self) -> Sequence[str]:
        """Of a session, its role's."""
        principal = self._principal
        arn = role_arn(principal) if principal.kind == "role-session" else principal.arn
        return (arn,) if arn else ()

    def principal_account(self) -> Sequence[str]:
        return (self._principal.account,) if self._principal.account else ()

    def principal_type(self) -> Sequence[str]:
        return (_TYPES[self._principal.kind],)

    def is_service(self) -> Sequence[str]:
        return ("true" if self._principal.kind == "service" else "false",)

    def user_id(self) -> Sequence[str]:
        return (self._principal.user_id,) if self._principal.user_id else ()

    def user_name(self) -> Sequence[str]:
        return (self._principal.arn.rpartition("/")[2],) if self._principal.kind == "user" else ()

    def session_with_mfa(self) -> Sequence[str]:
        """Sessions say so; long-term keys say nothing. Nobody has a second factor here."""
        return ("false",) if self._principal.access_key.startswith("ASIA") else ()


_GLOBAL: dict[str, Callable[[RequestContext], Sequence[str]]] = {
    "aws:currenttime": RequestContext.current_time,
    "aws:epochtime": RequestContext.epoch_time,
    "aws:sourceip": RequestContext.source_ip,
    "aws:securetransport": RequestContext.secure_transport,
    "aws:useragent": RequestContext.user_agent,
    "aws:referer": RequestContext.referer,
    "aws:requestedregion": RequestContext.requested_region,
    "aws:principalarn": RequestContext.principal_arn,
    "aws:principalaccount": RequestContext.principal_account,
    "aws:principaltype": RequestContext.principal_type,
    "aws:principalisawsservice": RequestContext.is_service,
    "aws:userid": RequestContext.user_id,
    "aws:username": RequestContext.user_name,
    "aws:multifactorauthpresent": RequestContext.session_with_mfa,
}


class Later(Mapping[str, Sequence[str]]):
    """Condition keys that are made when the first of them is asked for."""

    __slots__ = ("_keys", "_make")

    def __init__(self, make: Callable[[], Keys]) -> None:
        self._make = make
        self._keys: Keys | None = None

    def _made(self) -> Keys:
        if self._keys is None:
            self._keys = self._make()
        return self._keys

    def get(self, key: str, default: Any = None) -> Any:
        return self._made().get(key, default)

    def __getitem__(self, key: str) -> Sequence[str]:
        return self._made()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


class Tagged(Later):
    """With the tags of the resource that a request is about, looked up when asked for: aws:ResourceTag/<key>, and under
    the service's own name, as sagemaker:ResourceTag/<key>."""

    __slots__ = ("_look", "_service", "_tags")

    def __init__(self, service: str, make: Callable[[], Keys], tags: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(make)
        self._service = service
        self._look = tags
        self._tags: Keys | None = None

    def get(self, key: str, default: Any = None) -> Any:
        family, _, name = key.partition(":resourcetag/")
        if name and family in ("aws", self._service):
            if self._tags is None:
                self._tags = {tag.lower(): (value,) for tag, value in self._look().items()}
            return self._tags.get(name, default)
        return super().get(key, default)


def of_tags(tags: Mapping[str, str]) -> Keys:
    """The keys of tags that a request brings."""
    keys: Keys = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    if tags:
        keys["aws:tagkeys"] = tuple(tags)
    return keys
