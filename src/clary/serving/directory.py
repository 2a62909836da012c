"""What the gateway has to know of the rest of the server: keys, and where an endpoint's instances listen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from clary.auth.principals import Credential


class UnavailableError(Exception):
    """The control plane cannot be asked, and nothing that it said before may still be used."""


@dataclass(frozen=True, slots=True)
class Variant:
    """`instances` are paths of unix sockets; `timeout` is in seconds; `concurrency` bounds requests per instance."""

    name: str
    weight: float
    instances: tuple[str, ...]
    timeout: float = 60.0
    concurrency: int = 64


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint that takes requests. One object as long as nothing changed."""

    arn: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """Whether somebody may call an endpoint: `refusal` is what to tell him when not, else empty. One that is
    `particular` depends on the headers of the request (PERMIT_HEADERS), and is for that request alone."""

    refusal: str
    particular: bool = False


PERMIT_HEADERS = ("user-agent", "referer", "x-amzn-sagemaker-target-model")
"""What a policy may look at that the next request of the same client can have otherwise."""

EndpointKey = tuple[str, str, str]
"""Account, region, endpoint."""

PermitKey = tuple[str, str, str, str, str]
"""Access key, region, endpoint, scheme ("http", "https"), the client's address."""


class Directory(Protocol):
    """`fresh_*` answer from memory what was learnt within the last second, None when it has to be asked.

    The others ask; they answer None when there is no such key or no such endpoint in service, or raise
    UnavailableError."""

    def fresh_credential(self, access_key: str, /) -> Credential | None: ...

    async def credential(self, access_key: str) -> Credential | None: ...

    def fresh_route(self, key: EndpointKey, /) -> Route | None: ...

    async def route(self, key: EndpointKey) -> Route | None: ...

    def fresh_permit(self, key: PermitKey, /) -> Permit | None: ...

    async def permit(self, key: PermitKey) -> Permit | None: ...

    async def particular_permit(self, key: PermitKey, headers: Sequence[tuple[str, str]]) -> Permit | None:
        """For a request with these headers, asked whatever was learnt before."""
        ...
