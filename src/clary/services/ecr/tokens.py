"""Tokens for the registry's clients: sealed, good for twelve hours, and no longer than the key that asks for them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple

from clary.auth.registry_token import USER, RegistryToken
from clary.secrets import SealBroken, SealingKey
from clary.services.ecr import finding
from clary.services.operation import Call, Document, Operations
from clary.services.sts.sessions import find_session

operations = Operations()

_SECONDS = 43_200.0
_ABOUT = b"registry token"


@operations.handles("GetAuthorizationToken")
def get_authorization_token(call: Call, given: Document) -> Document:
    """One token opens every registry that its principal may come to; it is told for each that is asked for."""
    password, expires = give_out(call, _SECONDS)
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return {
        "authorizationData": [
            {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": finding.endpoint(call, account)}
            for account in given.get("registryIds") or [call.account]
        ]
    }


class GivenOut(NamedTuple):
    """`password` is the token as a client brings it; `expires` in epoch seconds."""

    password: str
    expires: float


def give_out(call: Call, seconds: float, path: str = "") -> GivenOut:
    """A token of the caller's, for what he may; with `path`, for reading that and nothing else. Good for so long, and
    no longer than his session."""
    expires = min(call.platform.clock.now() + seconds, _end_of_session(call))
    token = RegistryToken(call.principal.access_key, call.region, expires, path)
    return GivenOut(seal(call.platform.secrets, token), expires)


def _end_of_session(call: Call) -> float:
    access_key, secrets = call.principal.access_key, call.platform.secrets
    found = call.platform.stores.records.read(lambda connection: find_session(connection, secrets, access_key))
    return float("inf") if found is None or found.expires is None else found.expires


def seal(secrets: SealingKey, token: RegistryToken) -> str:
    return base64.b64encode(secrets.seal(json.dumps(token).encode(), _ABOUT)).decode()


def read(secrets: SealingKey, password: str) -> RegistryToken | None:
    """What was sealed into it; None for what was not."""
    try:
        return RegistryToken(*json.loads(secrets.open(base64.b64decode(password, validate=True), _ABOUT)))
    except (binascii.Error, ValueError, SealBroken):
        return None
