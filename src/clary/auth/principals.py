"""Who is calling."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["root", "user", "role-session", "federated-user", "federated", "service", "anonymous"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Exactly one per request. `arn` and `user_id` are what GetCallerIdentity answers; `role` names the role behind a
    session (the part after `role/`, path included); `access_key` is the key the proof was made with.

    A "federated-user" has a session of GetFederationToken; "federated" is somebody whom an identity provider vouches
    for, before he has a session (`arn` is the provider's); the `arn` of a "service" is its name, such as
    sagemaker.amazonaws.com. `behind` is the unique id of the role or user that a session was opened for: by it policies
    know a "role-session" and a "federated-user", whatever the name of that role or user is now. `agent`: the session is
    one that Clary opened for the agent of an instance."""

    kind: Kind
    account: str
    arn: str
    user_id: str
    access_key: str = ""
    role: str = ""
    behind: str = ""
    agent: bool = False


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


def canonical_id(account: str) -> str:
    """The 64 hexadecimal digits S3 names an account by, derived from its number."""
    return hashlib.sha256(f"canonical user {account}".encode()).hexdigest()
