"""An environment with what a requirements.txt names besides what an image's environment has; one for each content.

    python -m clary.images.requirements ENVIRONMENT FOLDER FILE   (prints where the new one is; progress is on stderr)

It is the environment once more, its files under a second name, with the requirements installed over them. Requirements
are the user's, and this runs outside of any sandbox: only wheels are installed, whose code does not run meanwhile, and
a line that names a file, an address or an option is refused.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from clary.images import environments, installer, requirement_lines
from clary.images.base import ImageBuildFailed

_LONGEST = 1 << 20  # bytes of all files together
_MOST_FILES = 100
_REQUIREMENTS = "requirements.txt"  # stays in the environment that was made of it


class BadRequirements(Exception):
    """A line that cannot be installed here; the message names it."""


def read(folder: Path, name: str = _REQUIREMENTS) -> list[str]:
    """The requirements of the file and of those that it includes, all inside the folder, each file's once. Raises
    BadRequirements."""
    return list(_Reading(folder.resolve()).lines(name, ()))


class _Reading:
    """What is read, and how much may be: one budget for a file and all that it includes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: set[Path] = set()
        self._left = _LONGEST

    def lines(self, name: str, above: tuple[Path, ...]) -> Iterator[str]:
        path = self._path(name)
        if path in above:
            raise BadRequirements(f"{name[:200]} includes itself.")
        if path in self._files:
            return
        for line in requirement_lines.lines(self._text(path)):
            if len(line) <= requirement_lines.LONGEST_LINE and requirement_lines.is_package(line):
                yield line
            elif included := requirement_lines.included(line):
                yield from self.lines(included, (*above, path))
            else:
                raise BadRequirements(
                    f"{name}: {line[:200]!r} cannot be installed here. Name packages and versions only; where they "
                    "come from is configured on the machine, for pip or uv."
                )

    def _path(self, name: str) -> Path:
        try:
            path = (self._folder / name).resolve()
            if path.is_relative_to(self._folder) and path.is_file():
                return path
        except (OSError, ValueError, RuntimeError):  # too long, a null character, links in a circle
            pass
        raise BadRequirements(f"{name[:200]!r} is no file of the code.")

    def _text(self, path: Path) -> str:
        self._files.add(path)
        with path.open("rb") as file:
            content = file.read(self._left + 1)
        self._left -= len(content)
        if self._left < 0 or len(self._files) > _MOST_FILES:
            raise BadRequirements(f"The requirements are more than {_LONGEST} bytes or {_MOST_FILES} files.")
        return content.decode("utf-8-sig", errors="replace")


def place_of(environment: Path, requirements: list[str]) -> Path:
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]
    return environment.with_name(f"{environment.name}+{digest}")


def build(environment: Path, requirements: list[str], report: installer.Report) -> Path:
    """Where the environment with the requirements is; built if it has to be, by the first who asks. Raises
    ImageBuildFailed."""
    environment, requirements = _of_the_foundation(environment, requirements)
    place = place_of(environment, requirements)

    def make(lock: int) -> None:
        tool = installer.find(environments.name_of(environment), lock, report, "The requirements cannot be installed.")
        tool.venv(place, pip=not any(environment.glob("lib/python*/site-packages/pip")))  # two of them would mix
        _copy(environment, place)
        wanted = place / _REQUIREMENTS
        wanted.write_text("\n".join(requirements), encoding="utf-8")
        tool.install_wheels(place, wanted)

    environments.once(place, make)
    environments.mark_used(place)
    return place


def _of_the_foundation(environment: Path, requirements: list[str]) -> tuple[Path, list[str]]:
    """The same of an environment without packages of the user's: with them in it, its own Python would run what they
    have for every start."""
    foundation, plus, _ = environment.name.partition("+")
    if not plus:
        return environment, requirements
    before = (environment / _REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    return environment.with_name(foundation), [*before, *requirements]


def _copy(environment: Path, place: Path) -> None:
    """The packages by hard links; their commands with their first line changed."""
    for source in environment.glob("lib/python*/site-packages"):
        target = place / source.relative_to(environment)
        shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)
    for command in (environment / "bin").iterdir():
        target = place / "bin" / command.name
        if not target.exists() and command.is_file() and not command.is_symlink():
            target.write_bytes(command.read_bytes().replace(os.fsencode(environment), os.fsencode(place), 1))
            shutil.copymode(command, target)


def _link(source: str, target: str) -> None:
    if not os.path.lexists(target):
        os.link(source, target)


def main(arguments: list[str]) -> int:
    environment, folder = map(Path, arguments[:2])
    said: list[str] = []
    try:
        requirements = read(folder, *arguments[2:])
        report = partial(_say, said)
        sys.stdout.write(str(build(environment, requirements, report) if requirements else environment))
    except (BadRequirements, ImageBuildFailed) as problem:
        for line in str(problem).splitlines():
            if line not in said:  # it ends with the installer's own last lines
                _say(said, line)
        return 1
    return 0


def _say(said: list[str], line: str) -> None:
    said.append(line)
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
