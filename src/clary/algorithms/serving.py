"""What a model server and an algorithm's predictor say to each other. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class InvocationError(Exception):
    """An answer that is an error: HTTP status and a plain text for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Headers(dict[str, str]):
    """Of a request, under their names as they came; found by a name in any case. Never changed once made."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(pairs)
        self._names = {name.lower(): name for name in self}

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(self._names[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._names

    def get(self, name: str, default: Any = None, /) -> Any:
        return super().get(self._names.get(name.lower(), name), default)


NO_HEADERS = Headers()


@dataclass(slots=True)
class Reply:
    """One answer. Made for every request, and three times as fast as a frozen one would be. `headers` are further ones,
    whose names and values fit a head; `phrase` stands beside the status where it is not the usual one."""

    body: bytes
    content_type: str
    status: int = 200
    phrase: str = ""
    headers: Mapping[str, str] | None = None


class Predictor(Protocol):
    """A loaded model. `invoke` may be called from several threads at once and raises InvocationError; `headers` are
    all of the request's, which mean something to few.

    `inline_bytes`: bodies up to this size are answered in well under a millisecond, so that the server may call
    `invoke` on its event loop, where a change of thread would cost more than the prediction; 0 means never.
    """

    @property
    def inline_bytes(self) -> int: ...

    def invoke(self, body: bytes, content_type: str, accept: str, headers: Headers = NO_HEADERS) -> Reply: ...
