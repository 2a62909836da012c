"""A profile of ours in the user's AWS configuration file, between two marks; everything else stays byte for byte."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from pathlib import Path

from clary.cli.failure import Failure


class Profile:
    """The profile `name` in the file `path`, which need not exist."""

    def __init__(self, path: Path, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise Failure(f"{name!r} is no name for a profile. Use letters, digits, dots, dashes and underscores.")
        self.path = path
        self.name = name
        self._first = (
            f"# >>> written by `clary configure` for the profile {name}; `clary configure --undo` removes it\n"
        )
        self._last = f"# <<< clary {name}\n"

    def check(self) -> None:
        """Raises Failure when the user has a profile of that name which is not ours."""
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(self._others())
        except configparser.Error as error:
            raise Failure(f"{self.path} cannot be read as AWS configuration: {error}") from error
        section = "default" if self.name == "default" else f"profile {self.name}"
        if parser.has_section(section):
            raise Failure(f"{self.path} has a profile {self.name!r} already. Give another name with --profile.")

    def write(self, values: Mapping[str, str]) -> None:
        section = "default" if self.name == "default" else f"profile {self.name}"
        lines = [f"[{section}]\n", *(f"{key} = {value}\n" for key, value in values.items())]
        others = self._others()
        gap = "" if not others or others.endswith("\n") else "\n"
        self._replace(others + gap + self._first + "".join(lines) + self._last)

    def remove(self) -> bool:
        """Whether there was anything of ours."""
        others = self._others()
        if not self.path.exists() or others == self.path.read_text():
            return False
        self._replace(others) if others else self.path.unlink()
        return True

    def _others(self) -> str:
        """The file without our part."""
        text = self.path.read_text() if self.path.exists() else ""
        begin, middle, rest = text.partition(self._first)
        return begin + rest.partition(self._last)[2] if middle else text

    def _replace(self, text: str) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o600
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        draft.write_text(text)
        draft.chmod(mode)
        draft.replace(self.path)
