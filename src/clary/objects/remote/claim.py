"""One server's claim to its place in the other store.

A sweep deletes every blob that its home's index does not name, so two homes must never keep theirs in one place, and a
home must find its own again. The place holds `<prefix>/clary.json`, which says whose it is; the home holds a file that
says where its blobs are. Neither is in a backup: a restored home is another one.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clary.config import Settings
from clary.contract.folder import write_durably
from clary.objects.remote.place import IN_PLACE, PAGE, Place, PlaceError, place

_IN_HOME = "elsewhere.json"


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the home's file says. `id` is in the place's file too, once it is `made`."""

    id: str
    bucket: str
    prefix: str
    made: bool


def agreed(settings: Settings) -> Place | None:
    """Where the home's objects are, by the settings and by what the home says itself; None: in the home. Asks nobody.
    Raises PlaceError."""
    ours, where = _read(settings), place(settings)
    if ours is not None and (where is None or (ours.bucket, ours.prefix) != (where.bucket, where.prefix)):
        raise PlaceError(
            f"The objects of this home are in s3://{ours.bucket}/{ours.prefix}, and the settings say "
            f"{where or 'that the home keeps them'}. Set CLARY_OBJECTS_BUCKET and what belongs to it as they were, or "
            f"move the objects ({PAGE})."
        )
    return where


def claim(settings: Settings) -> None:
    """Before a server starts: that the home's objects are where its settings say, and that it may read, write and
    list there. Raises PlaceError."""
    where, ours = agreed(settings), _read(settings)
    if where is None:
        return
    if ours is None:
        _check_empty(settings)
        ours = _Claim(secrets.token_hex(16), where.bucket, where.prefix, made=False)
    _make(where, ours, settings.blobs / _IN_HOME)


def look(settings: Settings) -> str:
    """What there is to say of the place of the objects, without claiming it. Raises PlaceError."""
    where = place(settings)
    if where is None:
        return f"they are in {settings.blobs}"
    from clary.objects.remote import asking

    asking.owner(where)
    return f"{where} answers"


def _make(where: Place, ours: _Claim, file: Path) -> None:
    from clary.objects.remote import asking  # botocore's client takes long to load

    found = asking.owner(where)
    if found is None and ours.made:
        raise PlaceError(
            f"{where} has no {IN_PLACE}, which this server has put there: it is another bucket than before, or was "
            f"emptied. Give the one that holds the objects ({PAGE})."
        )
    if found is not None and found != ours.id:
        raise PlaceError(_another(where))
    write_durably(file, json.dumps(asdict(ours)))
    if not asking.mark(where, ours.id, new=found is None):
        file.unlink()
        raise PlaceError(_another(where))
    write_durably(file, json.dumps(asdict(replace(ours, made=True))))


def _another(where: Place) -> str:
    return (
        f"{where} belongs to another home: two that shared it would delete each other's objects. Give another "
        f"CLARY_OBJECTS_PREFIX. If that home is no more, delete {where.prefix}/{IN_PLACE} there."
    )


def _check_empty(settings: Settings) -> None:
    """The home keeps no objects yet, or none any more."""
    if next(settings.blobs.glob("[0-9a-f][0-9a-f]/*"), None) is not None:
        raise PlaceError(
            f"There are objects in {settings.blobs} already. Move them to the bucket first ({PAGE}), or unset "
            "CLARY_OBJECTS_BUCKET."
        )


def _read(settings: Settings) -> _Claim | None:
    file = settings.blobs / _IN_HOME
    try:
        return _Claim(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise PlaceError(f"{file} cannot be read: {error}.") from error
