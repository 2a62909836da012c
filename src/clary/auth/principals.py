"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["root", "user", "role-session", "federated-user", "service", "anonymous"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Exactly one per request. `arn` and `user_id` are what GetCallerIdentity answers; `role` names the role behind a
    session (the part after `role/`, path included); `access_key` is the key the proof was made with."""

    kind: Kind
    account: str
    arn: str
    user_id: str
    access_key: str = ""
    role: str = ""


ANONYMOUS = Principal("anonymous", "", "", "")


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key as the gate needs it. `expires` is seconds since the epoch, None for long-term keys; a session key
    carries the `session_token` that has to come with it."""

    access_key: str
    secret_key: str
    principal: Principal
    session_token: str = ""
    expires: float | None = None


class Keyring(Protocol):
    """Where the gate looks keys up. None means: there is no such (active) key."""

    def find(self, access_key: str) -> Credential | None: ...
