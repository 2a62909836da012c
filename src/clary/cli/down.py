"""`clary down`."""

from __future__ import annotations

import argparse

from clary.cli import printing
from clary.cli.failure import Failure
from clary.cli.server import find, settings_of
from clary.server import home, processes, run_folders
from clary.server.up import sweep

_GRACE = 60.0  # the sum of what the programs of a server are given


def command(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    server = find(settings)
    ended = 0
    if server is not None:
        ended = 1
        processes.end([server.process], _GRACE)
    if settings.run.is_dir():
        try:
            with home.locked(settings):
                ended += len(sweep(settings))  # what a supervisor left that had been killed
                run_folders.remove(settings)
        except home.HomeError as error:
            raise Failure(str(error)) from error
    facts = {"stopped": ended > 0, "home": str(settings.home)}
    words = f"Clary has stopped ({settings.home})." if ended else f"Nothing runs with this home ({settings.home})."
    printing.answer(given.json, facts, words)
    return 0
