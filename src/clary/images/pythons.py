"""The Pythons under environments: that of this process, for all but those whose name says another."""

from __future__ import annotations

import itertools
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from clary.images.base import ImageBuildFailed

OLDEST = (3, 10)  # that the inside's own code runs on
NEUTRAL = "python"  # the environment of no framework, by its lock
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"

_OTHER = re.compile(rf"({NEUTRAL})-(3\.\d+)")
_ASKED = "import sys; print(sys.version_info[:2] == (%d, %d) and sys.prefix == sys.base_prefix)"
_PATIENCE = 10.0  # seconds for an interpreter to say what it is


def environment(version: str) -> str:
    """The name of the environment of no framework, on the Python of that version ("3.12")."""
    return NEUTRAL if version == OWN else f"{NEUTRAL}-{version}"


def lock_of(environment: str) -> str:
    """The name of its lock file, which several Pythons share."""
    found = _OTHER.fullmatch(environment)
    return found[1] if found else environment


def version_of(environment: str) -> str:
    """Of the Python under an environment of that name."""
    found = _OTHER.fullmatch(environment)
    return found[2] if found else OWN


def interpreter(version: str) -> str:
    """One of that version on this machine. Raises ImageBuildFailed, saying which there are."""
    if version == OWN:
        return base_python()
    found = find(version)
    if found is None:
        raise ImageBuildFailed(
            f"The image is for Python {version}, which was not found on this machine; Clary itself runs on {OWN}. "
            f"Install it (as python{version} on the PATH, by pyenv, or by `uv python install {version}`), or name an "
            "image for another Python as image_uri and run the client on that."
        )
    return found


def base_python() -> str:
    """The interpreter under this process's own virtual environment: environments must not depend on that one."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def find(version: str) -> str | None:
    """The first interpreter of that version that the machine has now: one may be installed at any time."""
    return next((str(path) for path in _candidates(version) if _is(path, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    """On the PATH, of pyenv, of uv, and where systems have them."""
    home = Path.home()
    folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv", "versions")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    installed = (*pyenv.glob(f"{version}.*/bin"), *uv.glob(f"cpython-{version}.*/bin"))
    usual = (Path("/usr/local/bin"), Path("/usr/bin"))
    for folder in itertools.chain(folders, sorted(installed, reverse=True), usual):
        path = (folder / f"python{version}").resolve()
        if folder.is_absolute() and os.access(path, os.X_OK) and not _is_anybody_s(path, folder):
            yield path


def _is_anybody_s(*places: Path) -> bool:
    """What everybody may write is not asked by a server that runs as root."""
    return os.geteuid() == 0 and any(each.stat().st_mode & stat.S_IWOTH for each in places)


def _is(path: Path, version: str) -> bool:
    """Asked itself: the name may be a script's that chooses among several, or finds none."""
    major, minor = version.split(".")
    command = [str(path), "-I", "-S", "-c", _ASKED % (int(major), int(minor))]
    try:
        ran = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0 and ran.stdout.strip() == "True"
