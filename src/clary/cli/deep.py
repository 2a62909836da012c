"""`clary doctor --deep`: every object, read."""

from __future__ import annotations

from dataclasses import asdict

from clary.backup.checking import Checked, Fault, check_objects
from clary.cli import printing
from clary.cli.progress import progress
from clary.cli.snapshots import asking
from clary.config import Settings
from clary.objects.damage import DamageList


def check(settings: Settings, as_json: bool) -> int:
    """Exit code 1 when an object is not whole."""
    with progress(as_json) as shown, asking(settings) as ask:
        checked = check_objects(
            settings,
            ask,
            lambda done, total: shown.part("copying the index", done, total),
            lambda done, total: shown.bytes("reading", done, total),
        )
    if not checked.faults:
        DamageList(settings.damages).clear()
    facts = {"objects": checked.objects, "bytes": checked.size, "faults": [asdict(each) for each in checked.faults]}
    printing.answer(as_json, facts, _words(checked))
    return int(bool(checked.faults))


def _words(checked: Checked) -> str:
    much = f"{checked.objects} objects and versions, {checked.size / 1024**2:,.1f} MiB"
    if not checked.faults:
        return f"{much}: all of them are what was stored."
    lines = [f"{len(checked.faults)} of {much}, are not what was stored:", *map(_line, checked.faults)]
    return "\n".join([*lines, "Put them again, or restore a backup into another home and copy them from there."])


def _line(fault: Fault) -> str:
    version = "" if fault.version == "null" else f" (version {fault.version})"
    return f"  s3://{fault.bucket}/{fault.key}{version}: {fault.words}"
