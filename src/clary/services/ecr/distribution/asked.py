"""One request to the registry, as its handlers see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from clary.registry.names import Place
from clary.registry.repositories import Repository
from clary.services.ecr import finding
from clary.services.operation import Call
from clary.wire.messages import Response

VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")


class Asked(NamedTuple):
    """`name` is the repository as the path has it; `reference` is a tag, a digest or an upload, by the handler; `query`
    has the first value of each name."""

    call: Call
    place: Place
    name: str
    reference: str
    query: Mapping[str, str]

    def header(self, name: str) -> str:
        return self.call.request.headers.get(name) or ""

    def repository(self) -> Repository:
        """Raises RepositoryNotFoundException."""
        return finding.read(self.call, lambda connection: finding.find(connection, self.place))

    def path(self, rest: str) -> str:
        """Of something in the repository; clients take it from there behind the host that they know."""
        return f"/v2/{self.name}/{rest}"

    @property
    def is_head(self) -> bool:
        return self.call.request.method == "HEAD"


def reply(status: int, *headers: tuple[str, str], body: bytes = b"") -> Response:
    return Response(status, [VERSION, *headers, ("Content-Length", str(len(body)))], body)


def empty(status: int, *headers: tuple[str, str]) -> Response:
    """204 has no length to be told."""
    return Response(status, [VERSION, *headers]) if status == 204 else reply(status, *headers)
