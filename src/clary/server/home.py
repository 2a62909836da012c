"""A home: its folders, and the lock that keeps two supervisors out of one home."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from clary.config import Settings
from clary.server import processes, run_folders


class HomeError(Exception):
    """The home cannot be used; the message says why and what to do."""


def prepare(settings: Settings) -> None:
    """Makes the folders, all for this user alone. Raises HomeError."""
    folders = (settings.home, settings.data, settings.blobs, settings.instances, settings.secrets, settings.logs)
    try:
        for folder in folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = run_folders.make(settings)
    except OSError as error:
        raise HomeError(f"Cannot make {error.filename}: {error.strerror}. Give another place with --home.") from error
    if not run_folders.is_private(found):
        raise HomeError(f"{settings.run} must be a folder of this user alone (mode 0700). Remove it and try again.")


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Holds the home; the kernel lets go of it when this process ends. Raises HomeError."""
    descriptor = os.open(settings.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeError(_occupied(settings)) from error
        yield
    finally:
        os.close(descriptor)


def supervisor_file(settings: Settings) -> Path:
    return settings.run / "supervisor.pid"


def _occupied(settings: Settings) -> str:
    running = processes.recorded(supervisor_file(settings))
    who = "another process that is just starting"
    if running is not None:
        who = f"process {running.pid}, port {running.facts.get('port')}"
    which = "" if settings.home == Settings.load({}).home else f" --home {shlex.quote(str(settings.home))}"
    return (
        f"Clary runs with this home already ({settings.home}): {who}. "
        f"Stop it with `clary down{which}`, or give another --home and --port."
    )
