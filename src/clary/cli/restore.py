"""`clary restore`."""

from __future__ import annotations

import argparse
import time

from clary.backup.restoring import CannotRestore, restore
from clary.cli import printing
from clary.cli.failure import Failure
from clary.cli.hints import hint
from clary.cli.progress import progress
from clary.cli.server import settings_of


def command(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    try:
        with progress(given.json) as shown:
            source = given.source.expanduser().absolute()
            facts = restore(
                settings,
                source,
                lambda done, total: shown.bytes("unpacking", done, total),
                lambda done, total: shown.part("filling the database", done, total),
            ).facts
    except CannotRestore as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{error.filename or settings.home}: {error.strerror or error}.") from error
    taken = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["created"]))
    words = (
        f"{settings.home} is as it was at {taken}, account {facts['account']}, region {facts['region']}. "
        f"Start it with `{hint(settings, 'up')}`. Jobs that ran then are reported as failed."
    )
    printing.answer(given.json, {"home": str(settings.home), **facts}, words)
    return 0
