"""Bytes that are not what was stored: what a reader is told, and the list of what was found so."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_MOST = 1000  # objects on the list

Damages = Callable[[str, str], None]
"""Hears of a damaged blob: its name, and words about what is wrong."""


def unheard(_blob: str, _words: str) -> None:
    """For those who are told by the error alone."""


class Damaged(Exception):
    """The bytes were changed, cut, or written with another key or context. The message says where, and nothing of the
    content."""


@dataclass(frozen=True, slots=True)
class Damage:
    """`what` is an object (s3://bucket/key), `words` say what is wrong with it, `found` when that was seen (epoch
    seconds)."""

    what: str
    words: str
    found: float


class DamageList:
    """Each object once, at most 1,000, in a file of JSON lines: for `clary doctor`. A deep check that finds all objects
    whole ends it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mutex = threading.Lock()

    def add(self, damage: Damage) -> None:
        """Raises OSError."""
        with self._mutex:
            known = self.every()
            if len(known) >= _MOST or any(each.what == damage.what for each in known):
                return
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(damage)) + "\n")

    def every(self) -> list[Damage]:
        """The oldest first. Raises OSError."""
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return list(_read(lines))

    def clear(self) -> None:
        """Raises OSError."""
        self._file.unlink(missing_ok=True)


def _read(lines: list[str]) -> Iterator[Damage]:
    for line in lines:
        with suppress(ValueError, TypeError):  # a crash may have cut the last one off
            yield Damage(**json.loads(line))
