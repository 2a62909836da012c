"""The running server, as the commands find it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.cli.failure import Failure
from clary.cli.hints import hint
from clary.config import Settings
from clary.server import home, processes


@dataclass(frozen=True, slots=True)
class Server:
    """A supervisor that lives. It may still be starting."""

    settings: Settings
    process: processes.Process
    host: str
    port: int

    @property
    def control(self) -> Path:
        return self.settings.run / "control.sock"

    @property
    def url(self) -> str:
        from clary.server.up import local_address

        address = local_address(self.host)
        return f"http://{f'[{address}]' if ':' in address else address}:{self.port}"


def settings_of(given: argparse.Namespace, **options: Any) -> Settings:
    try:
        return Settings.load(home=given.home, **options)
    except ValueError as error:
        raise Failure(f"{error}. Correct the variable, or unset it.") from error


def find(settings: Settings) -> Server | None:
    process = processes.recorded(home.supervisor_file(settings))
    if process is None:
        return None
    return Server(settings, process, str(process.facts["host"]), int(process.facts["port"]))


def running(given: argparse.Namespace) -> Server:
    """Raises Failure when no server runs with this home."""
    settings = settings_of(given)
    found = find(settings)
    if found is None:
        raise Failure(f"No server runs with this home ({settings.home}). Start one with `{hint(settings, 'up')}`.")
    return found
