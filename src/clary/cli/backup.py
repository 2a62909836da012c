"""`clary backup`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from clary.backup.taking import Backup, CannotBackUp, back_up
from clary.cli import printing
from clary.cli.failure import Failure
from clary.cli.progress import progress
from clary.cli.server import settings_of
from clary.cli.snapshots import asking


def command(given: argparse.Namespace) -> int:
    """Exit code 1 also when the home lacked bytes that it should have: what there is, is in the file."""
    settings = settings_of(given)
    target = _file(given.target)
    with progress(given.json) as shown, asking(settings) as ask:
        try:
            taken = back_up(
                settings,
                ask,
                target,
                lambda done, total: shown.part("copying the databases", done, total),
                lambda done, total: shown.bytes("writing", done, total),
            )
        except CannotBackUp as error:
            raise Failure(str(error)) from error
        except OSError as error:
            raise Failure(f"{error.filename or target}: {error.strerror or error}. Nothing was kept.") from error
    facts = {"file": str(taken.file), "bytes": taken.size, "blobs": taken.blobs, "missing": taken.missing}
    printing.answer(given.json, facts | {"root_key": taken.root_key}, _words(taken))
    return int(bool(taken.missing))


def _file(target: Path) -> Path:
    target = target.expanduser().absolute()
    if target.is_dir():
        return target / time.strftime("clary-%Y%m%d-%H%M%S.tar")
    if not target.parent.is_dir():
        raise Failure(f"There is no folder {target.parent}. Make it, or give another place.")
    return target


def _words(taken: Backup) -> str:
    lines = [f"{taken.file}: {taken.size / 1024**2:,.1f} MiB, {taken.blobs} files of objects."]
    if taken.root_key:
        lines.append("It holds the root key and every secret of the home: keep it as safe as the home itself.")
    else:
        lines.append("It does not hold the root key, which was given by a setting: without that key it is worthless.")
    if taken.missing:
        count = len(taken.missing)
        lines.append(f"{count} files were missing or damaged in the home: `clary doctor --deep` names their objects.")
    return "\n".join(lines)
