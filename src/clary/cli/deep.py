"""`clary doctor --deep`: every object and every container image, read."""

from __future__ import annotations

from dataclasses import asdict

from clary.backup.checking import Checked, Fault, check_objects
from clary.cli import printing
from clary.cli.progress import progress
from clary.cli.snapshots import asking
from clary.config import Settings
from clary.objects.damage import DamageList


def check(settings: Settings, as_json: bool) -> int:
    """Exit code 1 when an object, or an image, is not whole."""
    with progress(as_json) as shown, asking(settings) as ask:
        checked = check_objects(
            settings,
            ask,
            lambda done, total: shown.part("copying the index", done, total),
            lambda done, total: shown.bytes("reading", done, total),
        )
    broken = bool(checked.faults or checked.image_faults)
    if not broken:
        DamageList(settings.damages).clear()
    facts = {
        "objects": checked.objects,
        "bytes": checked.size,
        "faults": [asdict(each) for each in checked.faults],
        "layers": checked.layers,
        "layer_bytes": checked.layers_size,
        "image_faults": [asdict(each) for each in checked.image_faults],
    }
    printing.answer(as_json, facts, f"{_of_objects(checked)}\n{_of_images(checked)}")
    return int(broken)


def _of_objects(checked: Checked) -> str:
    much = f"{checked.objects} objects and versions, {checked.size / 1024**2:,.1f} MiB"
    if not checked.faults:
        return f"{much}: all of them are what was stored."
    lines = [f"{len(checked.faults)} of {much}, are not what was stored:", *map(_line, checked.faults)]
    return "\n".join([*lines, "Put them again, or restore a backup into another home and copy them from there."])


def _of_images(checked: Checked) -> str:
    much = f"{checked.layers} layers of container images, {checked.layers_size / 1024**2:,.1f} MiB"
    if not checked.image_faults:
        return f"{much}: all of them, and the images' manifests, are what was pushed."
    lines = [f"{each.digest}: {each.words}" for each in checked.image_faults]
    return "\n  ".join([f"Of {much}, and of the images' manifests these are not what was pushed:", *lines]) + (
        "\nPush the images that need them again, or restore a backup into another home and push them from there."
    )


def _line(fault: Fault) -> str:
    version = "" if fault.version == "null" else f" (version {fault.version})"
    return f"  s3://{fault.bucket}/{fault.key}{version}: {fault.words}"
