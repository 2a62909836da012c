"""An environment with what a requirements.txt names besides what an image's environment has; one for each content.

    python -m clary.images.requirements ENVIRONMENT FOLDER      (prints where the new one is; progress is on stderr)

It is the environment once more, its files under a second name, with the requirements installed over them. Requirements
are the user's, and this runs outside of any sandbox: only wheels are installed, whose code does not run meanwhile, and
a line that names a file, an address or an option is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from clary.images import environments, installer
from clary.images.base import ImageBuildFailed

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[A-Za-z0-9._,\s-]*\])?"
_VERSIONS = r"\(?\s*(?:(?:[<>=!~]=?|===)\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*\)?"
_REQUIREMENT = re.compile(rf"{_NAME}\s*{_VERSIONS}\s*(?:;[^@/$]*)?(?:\s--hash=sha256:[0-9a-f]{{64}})*")
_INCLUDED = re.compile(r"(?:-r|--requirement)[\s=]+(\S+)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_LONGEST = 1 << 20  # characters of all files together


class BadRequirements(Exception):
    """A line that cannot be installed here; the message names it."""


def read(folder: Path, name: str = "requirements.txt") -> list[str]:
    """The requirements of the file and of those that it includes, all inside the folder. Raises BadRequirements."""
    return list(_read(folder.resolve(), name, ()))


def _read(folder: Path, name: str, above: tuple[Path, ...]) -> Iterator[str]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder) or not path.is_file() or path in above:
        raise BadRequirements(f"{name} is no file of the code, or includes itself.")
    if path.stat().st_size > _LONGEST:
        raise BadRequirements(f"{name} is longer than {_LONGEST} bytes.")
    text = path.read_text(encoding="utf-8-sig", errors="replace").replace("\\\n", " ")
    for line in filter(None, (_COMMENT.sub("", each).strip() for each in text.splitlines())):
        included = _INCLUDED.fullmatch(line)
        if included:
            yield from _read(folder, included[1], (*above, path))
        elif _REQUIREMENT.fullmatch(line):
            yield line
        else:
            raise BadRequirements(
                f"{name}: {line[:200]!r} cannot be installed here. Name packages and versions only; where they come "
                "from is configured on the machine, for pip or uv."
            )


def place_of(environment: Path, requirements: list[str]) -> Path:
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]
    return environment.with_name(f"{environment.name}+{digest}")


def build(environment: Path, requirements: list[str], report: installer.Report) -> Path:
    """Where the environment with the requirements is; built if it has to be, by the first who asks. Raises
    ImageBuildFailed."""
    place = place_of(environment, requirements)

    def make(lock: int) -> None:
        tool = installer.find(lock, report, "The requirements cannot be installed.")
        tool.venv(place)
        _copy(environment, place)
        wanted = place / "requirements.txt"
        wanted.write_text("\n".join(requirements), encoding="utf-8")
        try:
            tool.install_wheels(place, wanted)
        except ImageBuildFailed:
            shutil.rmtree(place, ignore_errors=True)  # nobody may ask for these again
            raise

    environments.once(place, make)
    environments.mark_used(place)
    return place


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
    environment, folder = map(Path, arguments)
    try:
        requirements = read(folder)
        sys.stdout.write(str(build(environment, requirements, _say) if requirements else environment))
    except (BadRequirements, ImageBuildFailed) as problem:
        _say(str(problem))
        return 1
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
