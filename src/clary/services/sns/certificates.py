"""The certificate of the key that signs messages, served to everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from clary.context import Platform
from clary.services.sns import signing
from clary.wire.messages import Request, Response
from clary.wire.router import Router

T = TypeVar("T")


class Certificates(Generic[T]):
    """Answers requests for what `SigningCertURL` names, and leaves all others to `otherwise`. No bucket can have such a
    name, so none is in the way."""

    def __init__(self, platform: Platform, router: Router, otherwise: Callable[[Request], T]) -> None:
        self._platform = platform
        self._router = router
        self._otherwise = otherwise

    def __call__(self, request: Request) -> T | Response:
        return self._asked_for(request) or self._otherwise(request)

    def _asked_for(self, request: Request) -> Response | None:
        if request.method != "GET" or not request.path.startswith(signing.PREFIX):
            return None
        if self._router.bucket_of(request.host):  # then it is a key
            return None
        certificate = signing.certificate(self._platform)
        if certificate is None or signing.path_of(certificate) != request.path:
            return None
        return Response(200, [("Content-Type", "application/x-pem-file")], certificate)
