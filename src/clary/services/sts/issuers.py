"""The keys of an identity provider, fetched from where its discovery document says. Nothing is remembered: a key that
the issuer took back is no good from then on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 5.0  # for each of the two requests
_MOST_BYTES = 1 << 20


class IssuerSilent(Exception):
    """The issuer did not answer, or not with keys; the message says which."""


def keys(issuer: str) -> list[Mapping[str, Any]]:
    """Those of a JSON Web Key Set. `issuer` is a URL, http or https; the certificate of https is checked against the
    machine's authorities. Raises IssuerSilent."""
    discovery = _fetched(f"{issuer}/.well-known/openid-configuration")
    where = discovery.get("jwks_uri")
    if not isinstance(where, str):
        raise IssuerSilent(f"{issuer} does not say where its keys are")
    found = _fetched(where).get("keys")
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise IssuerSilent(f"{where} is no set of keys")
    return found


def _fetched(url: str) -> Mapping[str, Any]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise IssuerSilent(f"{url} is not fetched: keys come over http or https")
    from urllib.request import urlopen  # few servers have such a provider

    try:
        with urlopen(url, timeout=_SECONDS) as answer:
            data = answer.read(_MOST_BYTES + 1)
        document = json.loads(data) if len(data) <= _MOST_BYTES else None
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise IssuerSilent(f"{url}: {error}") from error
    if not isinstance(document, dict):
        raise IssuerSilent(f"{url} is no JSON object")
    return document
