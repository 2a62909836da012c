"""What a command cannot do."""

from __future__ import annotations


class Failure(Exception):
    """One or two sentences for the user: what happened, and what to do about it. `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
