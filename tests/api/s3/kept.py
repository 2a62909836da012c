"""The blobs of a server under test, be they files of its home or objects of another store."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from clary.objects.remote.bucket import Bucket
from clary.objects.remote.place import Place
from other_stores import keys_below


class Kept:
    """All of a server's, by name; what is read and written is what is kept, whatever that should be."""

    def __init__(self, server: SimpleNamespace) -> None:
        self._folder: Path = server.platform.settings.home / "objects"
        self._place: Place | None = server.place

    def names(self) -> set[str]:
        if self._place is None:
            return {path.name for path in self._folder.rglob("*") if path.is_file()}
        return {key.rpartition("/")[2] for key in keys_below(self._place)}

    def read(self, name: str) -> bytes:
        if self._place is None:
            return (self._folder / name[:2] / name).read_bytes()
        return bytes(Bucket(self._place).get(self._key(name))[1].read())

    def write(self, name: str, data: bytes) -> None:
        if self._place is None:
            (self._folder / name[:2] / name).write_bytes(data)
        else:
            Bucket(self._place).put(self._key(name), data)

    def _key(self, name: str) -> str:
        assert self._place is not None
        return f"{self._place.prefix}/{name[:2]}/{name}"
