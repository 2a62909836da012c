"""What a model server and an algorithm's predictor say to each other. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class InvocationError(Exception):
    """An answer that is an error: HTTP status and a plain text for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Reply:
    """One answer. Made for every request, and three times as fast as a frozen one would be."""

    body: bytes
    content_type: str
    status: int = 200


class Predictor(Protocol):
    """A loaded model. `invoke` may be called from several threads at once and raises InvocationError; `attributes` are
    the request's X-Amzn-SageMaker-Custom-Attributes, which mean something to few.

    `inline_bytes`: bodies up to this size are answered in well under a millisecond, so that the server may call
    `invoke` on its event loop, where a change of thread would cost more than the prediction; 0 means never.
    """

    @property
    def inline_bytes(self) -> int: ...

    def invoke(self, body: bytes, content_type: str, accept: str, attributes: str = "") -> Reply: ...
