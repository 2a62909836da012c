"""One HTTP request and one HTTP response, as plain values. Header names compare without case, order is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


class Body(Protocol):
    """A request body as a one-way stream. `length` is the declared number of bytes, None when it is not declared.

    `read(size)` returns at most `size` bytes (all that is left when negative) and b"" at the end. Layers wrap it: a
    layer that verifies (payload hash, chunk signature) raises ServiceError from the read that reaches the end.
    """

    @property
    def length(self) -> int | None: ...

    def read(self, size: int = -1, /) -> bytes: ...


@runtime_checkable
class LandingBody(Body, Protocol):
    """A body that may come into a local file without passing through the process that reads it."""

    def land(self, path: str, descriptor: int) -> bool:
        """From here on every byte that `read` returns is in the file too, at its place in the body; what was read
        before is not. `descriptor` is the same file, open for reading and writing until the body is read no more; what
        cannot be written raises OSError from `read`. False, and nothing has changed, where that is not to be had."""
        ...


def land(body: Body, path: str, descriptor: int) -> bool:
    """As `LandingBody.land`, for any body."""
    return isinstance(body, LandingBody) and body.land(path, descriptor)


class BytesBody:
    """A body that is in memory already."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._at = 0
        self.length: int | None = len(data)

    def read(self, size: int = -1, /) -> bytes:
        end = len(self._data) if size < 0 else self._at + size
        piece = self._data[self._at : end]
        self._at += len(piece)
        return piece

    def rewind(self) -> None:
        """To be read once more from its start."""
        self._at = 0


class Headers:
    """An ordered multi-map with case-insensitive names; values are str (latin-1 on the wire)."""

    __slots__ = ("_index", "pairs")

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._index: dict[str, tuple[str, ...]] = {name.lower(): (value,) for name, value in self.pairs}
        if len(self._index) != len(self.pairs):
            self._gather()

    def _gather(self) -> None:
        """Some name came more than once."""
        self._index = {}
        for name, value in self.pairs:
            self._index[name.lower()] = (*self._index.get(name.lower(), ()), value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name."""
        values = self._index.get(name.lower())
        return values[0] if values else default

    def all(self, name: str) -> list[str]:
        return list(self._index.get(name.lower(), ()))

    @property
    def by_name(self) -> Mapping[str, Sequence[str]]:
        """All values by lower-cased name, not copied: for whoever looks at many."""
        return self._index

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._index

    def names(self) -> Iterator[str]:
        """Every name once, lower-cased."""
        return iter(self._index)


class RequestHead(Protocol):
    """A request but for its body, which is all that a signature's claim is read from. `target` as in `Request`;
    `fields` are all header values by lower-cased name, in the order in which they came."""

    @property
    def method(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def fields(self) -> Mapping[str, Sequence[str]]: ...


@dataclass(slots=True)  # frozen, it would take three times as long to make
class Request:
    """Not changed once it is made: who wants another makes one. `target` is the request target byte for byte as it came
    (decoded as latin-1, nothing unquoted)."""

    method: str
    target: str
    headers: Headers
    body: Body = field(default_factory=BytesBody)
    scheme: str = "http"
    peer: str = ""

    @property
    def fields(self) -> Mapping[str, Sequence[str]]:
        """As in `RequestHead`; not copied."""
        return self.headers.by_name

    @property
    def host(self) -> str:
        """The Host header without its port, lower-cased."""
        host = (self.headers.get("host") or "").lower()
        if host.startswith("["):
            return host.partition("]")[0] + "]"
        return host.partition(":")[0]

    @property
    def path(self) -> str:
        """The target's path, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query string, still percent-encoded, without '?'."""
        return self.target.partition("?")[2]


@dataclass(slots=True)
class Response:
    """`body` is bytes, or an iterator of pieces; then `headers` carry a Content-Length or the pieces go out chunked."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterator[bytes] = b""
