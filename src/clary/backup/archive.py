"""The file of a backup: a tar of plain files, the first of which says what it is and the last what is in it.

`clary-backup.json` has the facts (format, what server it is of, how much is in it). Then `secrets/`, `data/`,
`registered/` (folders in it as archives of their own) and `objects/`, as in a home. `manifest` ends it: a line
`SHA-256  size  name` for each file, in the order of the tar; a backup that was cut off has none.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from clary.images import carried
from clary.objects.base import FileBody, ObjectStore
from clary.objects.blobs import Checksums, has_checksums
from clary.objects.damage import Damaged

FORMAT = 2
_READ = (1, FORMAT)  # the first had nothing registered in it
_FACTS, _MANIFEST = "clary-backup.json", "manifest"
_NAME = re.compile(
    r"data/[a-z]+\.db|secrets/[A-Za-z0-9][A-Za-z0-9._-]*|objects/([0-9a-f]{2})/\1[0-9a-f]{30}c?|" + carried.NAMES
)
_PIECE = 1 << 20

Count = Callable[[int], None]  # so many bytes more are done


class NotABackup(Exception):
    """The file is no backup that this release reads. The message says why."""


class DamagedBackup(Exception):
    """A backup that is cut off or changed. The message says where."""


class Writer:
    """Writes an archive to `file`; it is whole after `finish`. Raises OSError."""

    def __init__(self, file: IO[bytes], facts: dict[str, Any], count: Count) -> None:
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_PIECE)
        self._manifest = tempfile.TemporaryFile()  # noqa: SIM115 - both are open until `finish`
        self._count = count
        self._text(_FACTS, json.dumps({"format": FORMAT, **facts}).encode())

    def add(self, name: str, source: Path) -> None:
        """A file. Raises FileNotFoundError before anything of it is written."""
        with source.open("rb") as file:
            self._add(name, os.fstat(file.fileno()).st_size, file)

    def add_blob(self, blob: str, store: ObjectStore) -> None:
        """Its bytes alone. Raises FileNotFoundError, Lost and Damaged before anything of it is written: a local file is
        read through for that."""
        with contextlib.closing(store.read(blob)) as reading:
            if isinstance(reading, FileBody):
                for _ in reading:
                    pass
        try:
            with contextlib.closing(store.read(blob)) as reading:
                self._add(f"objects/{blob[:2]}/{blob}", reading.size, _Pieces(reading))
        except Damaged as error:
            raise OSError(errno.EIO, f"the blob {blob} was damaged just now ({error})") from error

    def _add(self, name: str, size: int, source: _Source) -> None:
        hashed = _Hashed(source, self._count)
        self._tar.addfile(_member(name, size), hashed)
        self._tar.members = []  # type: ignore[attr-defined] # it remembers all, be they millions
        self._manifest.write(_line(hashed.digest, size, name))

    def finish(self) -> None:
        size = self._manifest.tell()
        self._manifest.seek(0)
        self._tar.addfile(_member(_MANIFEST, size), self._manifest)
        self._tar.close()
        self.close()

    def close(self) -> None:
        self._manifest.close()

    def _text(self, name: str, data: bytes) -> None:
        self._tar.addfile(_member(name, len(data)), io.BytesIO(data))


class Reader:
    """Reads an archive from `file`, from its beginning to its end; `facts` are there at once. Raises NotABackup."""

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._tar = tarfile.open(fileobj=file, mode="r|", bufsize=_PIECE)  # noqa: SIM115 - until `unpack`
            first = self._tar.next()
            text = None if first is None or first.name != _FACTS else self._tar.extractfile(first)
            self.facts: dict[str, Any] = {} if text is None else json.loads(text.read())
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise NotABackup("it is no backup of Clary") from error
        if not isinstance(self.facts, dict) or "format" not in self.facts:
            raise NotABackup("it is no backup of Clary")
        if self.facts["format"] not in _READ:
            raise NotABackup(f"its format is {self.facts['format']}, this release reads {FORMAT}: use a newer Clary")

    def unpack(self, folder: Path, count: Count) -> None:
        """Puts the files into `folder`, each with the bytes that the manifest says. Raises DamagedBackup, OSError."""
        with tempfile.TemporaryFile() as found:
            try:
                self._unpack(folder, found, count)
            except (tarfile.TarError, EOFError) as error:
                raise DamagedBackup(f"it is cut off or damaged ({error})") from error

    def _unpack(self, folder: Path, found: IO[bytes], count: Count) -> None:
        while (member := self._tar.next()) is not None:
            self._tar.members = []  # type: ignore[attr-defined] # it remembers all, be they millions
            source = self._tar.extractfile(member) if member.isreg() else None
            if source is None or not (_NAME.fullmatch(member.name) or member.name == _MANIFEST):
                raise DamagedBackup(f"there is something in it that is in no backup: {member.name!r}")
            if member.name == _MANIFEST:
                found.seek(0)
                _compare(source, found)
                return
            hashed = _Hashed(source, count)
            _put(folder / member.name, hashed, _checksums(member.name))
            found.write(_line(hashed.digest, member.size, member.name))
        raise DamagedBackup("it is cut off: its manifest is missing")


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Pieces:
    """Pieces as a file: each `read` gives as much as is asked for while there is as much."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = bytearray()

    def read(self, size: int = -1, /) -> bytes:
        while (len(self._held) < size or size < 0) and (piece := next(self._pieces, b"")):
            self._held += piece
        data = bytes(self._held if size < 0 else self._held[:size])
        del self._held[: len(data)]
        return data


class _Hashed(io.RawIOBase):
    """What is read, hashed on its way."""

    def __init__(self, source: _Source, count: Count) -> None:
        self._source = source
        self._count = count
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        self._count(len(data))
        return data

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _put(target: Path, source: _Hashed, checksums: Checksums | None) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while data := source.read(_PIECE):
            file.write(data)
            if checksums is not None:
                checksums.update(data)
        if checksums is not None:
            file.write(checksums.finish()[1])


def _checksums(name: str) -> Checksums | None:
    """Those that a blob's file has behind its bytes."""
    folder, _, blob = name.rpartition("/")
    return Checksums(blob) if folder.startswith("objects/") and has_checksums(blob) else None


def _compare(manifest: IO[bytes], found: IO[bytes]) -> None:
    for line in manifest:
        here = found.readline()
        if here != line:
            name = (here or line).decode("utf-8", "replace").split()[-1:]
            raise DamagedBackup(f"the bytes of {' '.join(name)} are not those that its manifest says")
    if extra := found.readline():
        raise DamagedBackup(f"its manifest does not know {extra.decode().split()[-1]}")


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _line(digest: str, size: int, name: str) -> bytes:
    return f"{digest}  {size}  {name}\n".encode()
