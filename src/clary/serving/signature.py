"""The gateway's one door to `clary.auth`: SigV4 in the header, body in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from clary.auth.claims import Claim, from_header
from clary.auth.principals import Credential
from clary.auth.refusals import unknown_key
from clary.auth.sigv4 import Rules, SigningKeys, check_claim, check_signature
from clary.errors import ServiceError
from clary.wire.messages import RequestHead


class Signatures:
    """Checks requests signed for `sagemaker`. `now` is epoch seconds; `window`, seconds, the latitude of clocks."""

    def __init__(self, window: float, now: Callable[[], float]) -> None:
        self._rules = Rules("sagemaker", "json", window)
        self._keys = SigningKeys()
        self._now = now

    def claim(self, head: RequestHead) -> Claim:
        """What the request claims, unproven. Raises ServiceError."""
        return from_header(head, "json")

    def prove(self, claim: Claim, head: RequestHead, body: bytes, credential: Credential) -> None:
        """Raises ServiceError unless the key's owner signed this request and this body."""
        check_claim(claim, credential, head, self._rules, self._now())
        payload = hashlib.sha256(body).hexdigest()
        check_signature(claim, credential, head, payload, self._rules, self._keys)

    def unknown(self, claim: Claim) -> ServiceError:
        """The error for a key that does not exist."""
        return unknown_key("json", claim.access_key)
