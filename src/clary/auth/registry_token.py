"""The registry's credential scheme: HTTP Basic, with a token of ECR's GetAuthorizationToken for a password."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple

from clary.errors import ServiceError
from clary.wire.messages import Request

USER = "AWS"


class RegistryToken(NamedTuple):
    """What a token says that was opened: whose it is, for the registry of which region, until when (epoch seconds)."""

    access_key: str
    region: str
    expires: float


ReadToken = Callable[[str], RegistryToken | None]  # None for what was not given out as one


def password(request: Request) -> str:
    """The one that comes with the request. Raises ServiceError (401) where none does."""
    given = request.headers.all("authorization")
    scheme, _, encoded = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        raise refused("no basic auth credentials")
    try:
        user, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise refused("the credentials are not Base64") from None
    if user != USER or not secret:
        raise refused(f"the user name is {USER}, the password a token of GetAuthorizationToken")
    return secret


def refused(message: str) -> ServiceError:
    return ServiceError("UNAUTHORIZED", message, 401)
