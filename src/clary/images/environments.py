"""Virtual environments of images: one per content of a lock file and Python, built once, read-only from then on.

A virtual environment cannot be moved, so it is built in place under a file lock; a mark written last says that it is
whole. What a crash leaves behind has no mark and is built anew.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from clary.config import Settings
from clary.images import lockfiles
from clary.images.base import ImageBuildFailed

Report = Callable[[str], None]

_MARK = ".complete"
_NOT_FOR_BUILDS = ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")


def path(settings: Settings, name: str) -> Path:
    """Where the environment of that name is or will be; changes with its lock file and with the Python under it."""
    return settings.images_home / "environments" / f"{name}-{_digest(name)}"


@functools.cache  # what it is made of changes with the program only
def _digest(name: str) -> str:
    base = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()} {_base_python()}"
    return hashlib.sha256(f"{base}\n{lockfiles.text(name)}".encode()).hexdigest()[:16]


def ready(environment: Path | str) -> bool:
    return os.access(f"{environment}/{_MARK}", os.F_OK)  # every Create asks: without a Path, which costs more


def build(settings: Settings, name: str, report: Report) -> Path:
    """The path of the environment, built if it has to be (seconds with uv). Others who ask meanwhile wait for this
    build. Raises ImageBuildFailed with what to do."""
    place = path(settings, name)
    if ready(place):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(lock_of(place)) as lock:
        if not ready(place):
            shutil.rmtree(place, ignore_errors=True)
            report(f"Building image environment {name} in {place}")
            _install(name, place, lock, report)
            (place / _MARK).touch()
            report(f"Image environment {name} is ready")
    return place


def lock_of(place: Path) -> Path:
    """The file whose lock whoever builds or removes the environment holds."""
    return place.with_name(place.name + ".lock")


def unmark(place: Path) -> None:
    """From here on it is not there, whatever is left of it."""
    (place / _MARK).unlink(missing_ok=True)


@contextmanager
def _only_one(lock: Path) -> Iterator[int]:
    """The descriptor that holds the lock. The commands of a build inherit it, so that the next build waits for what a
    killed server left running."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _install(name: str, place: Path, lock: int, report: Report) -> None:
    packages = place.with_name(place.name + ".txt")
    packages.write_text(lockfiles.text(name), encoding="utf-8")

    def run(command: list[str], said: Report = report) -> None:
        _run(command, lock, said)

    try:
        uv = _uv()
        if uv:
            _with_uv(uv, place, packages, run)
        else:
            report("uv was not found; building with pip, which takes longer")
            _with_pip(place, packages, run)
    finally:
        packages.unlink(missing_ok=True)


def _with_uv(uv: list[str], place: Path, packages: Path, run: Callable[..., None]) -> None:
    run([*uv, "venv", "--quiet", "--no-project", "--python", _base_python(), str(place)])
    # copies, not hard links: a job must not be able to reach uv's cache through its environment
    install = [*uv, "pip", "install", "--python", str(place / "bin" / "python"), "--require-hashes", "--no-deps"]
    install += ["--compile-bytecode", "--link-mode", "copy", "-r", str(packages)]
    try:
        run([*install, "--offline"], lambda _: None)
    except ImageBuildFailed:
        run(install)


def _with_pip(place: Path, packages: Path, run: Callable[..., None]) -> None:
    python = str(place / "bin" / "python")
    run([_base_python(), "-m", "venv", str(place)])
    run([python, "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input", "-r", str(packages)])


def _run(command: list[str], lock: int, report: Report) -> None:
    """Runs it, reports its lines; raises ImageBuildFailed with the last of them."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_BUILDS}
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            pass_fds=(lock,),
            umask=0o022,  # jobs run as another user than this one
        ) as child:
            assert child.stdout is not None
            lines = []
            for line in child.stdout:
                lines.append(line.rstrip())
                report(lines[-1])
    except OSError as problem:
        raise ImageBuildFailed(f"{command[0]} could not be started: {problem}") from problem
    if child.returncode:
        tail = "\n".join(lines[-15:])
        raise ImageBuildFailed(
            "The image environment could not be built. The first build needs a package index that pip or uv can reach "
            f"(or their filled cache) and about 500 MB of disk; then try again.\n{tail}"
        )


def _uv() -> list[str] | None:
    found = shutil.which("uv")
    if found:
        return [found]
    return [sys.executable, "-m", "uv"] if find_spec("uv") else None


def _base_python() -> str:
    """The interpreter under this process's own virtual environment: environments must not depend on that one."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))
