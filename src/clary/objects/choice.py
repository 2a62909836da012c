"""Which object store a home has."""

from __future__ import annotations

from clary.config import Settings
from clary.objects.base import ObjectStore
from clary.objects.damage import Damages, unheard
from clary.objects.filesystem import FilesystemStore
from clary.objects.remote.claim import agreed


def object_store(settings: Settings, damaged: Damages = unheard) -> ObjectStore:
    """The one that the settings and the home say; a server has claimed it (`remote.claim`). `damaged` as in
    `FilesystemStore`. Raises PlaceError."""
    where = agreed(settings)
    if where is None:
        return FilesystemStore(settings.blobs, damaged)
    from clary.objects.remote.store import RemoteStore  # botocore's client takes long to load

    return RemoteStore(where)
