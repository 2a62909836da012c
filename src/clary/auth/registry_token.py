"""The registry's credential schemes: HTTP Basic, with a token of ECR's GetAuthorizationToken for a password; or a
ticket in the query, a token that opens one path for reading (GetDownloadUrlForLayer)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

from clary.errors import ServiceError
from clary.wire.messages import Request

USER, TICKET = "AWS", "ticket"


class RegistryToken(NamedTuple):
    """What a token says that was opened: whose it is, for the registry of which region, until when (epoch seconds), and
    for which path (decoded), "" for all that its owner may do."""

    access_key: str
    region: str
    expires: float
    path: str = ""


ReadToken = Callable[[str], RegistryToken | None]  # None for what was not given out as one


def proof(request: Request) -> tuple[str, str]:
    """(token, the path that it has to be for) that come with a request. Raises ServiceError (401) where none does, or
    two."""
    tickets = [value for name, _, value in map(_parted, request.query.split("&")) if name == TICKET]
    if not tickets:
        return password(request), ""
    if len(tickets) > 1 or request.headers.all("authorization") or request.method not in ("GET", "HEAD"):
        raise refused("a ticket is the only proof of a request, and is for reading")
    return unquote(tickets[0]), unquote(request.path)


def _parted(pair: str) -> tuple[str, str, str]:
    return pair.partition("=")


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
