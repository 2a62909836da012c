"""The bytes of layers: written to blobs and read from them, encrypted where their repository is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from clary.objects.base import ObjectStore
from clary.objects.damage import Damaged
from clary.objects.encrypted import Cipher
from clary.secrets import SealBroken, SealingKey
from clary.wire.messages import Body

_PIECE = 1 << 20
_KEY_BYTES = 32


class Written(NamedTuple):
    """A durable blob that no row names yet: `size` and `sha256` (a digest) are of the bytes as they came, `key` the
    sealed key where they are encrypted."""

    blob: str
    size: int
    sha256: str
    key: bytes | None


class Bytes:
    """Where they are kept. Safe between threads."""

    def __init__(self, objects: ObjectStore, secrets: SealingKey) -> None:
        self._objects = objects
        self._secrets = secrets

    def receive(self, body: Body, account: str, encrypted: bool) -> Written:
        """A request's body, in constant memory. Raises what reading it raises, and OSError (a full disk)."""
        return self._write(iter(lambda: body.read(_PIECE), b""), account, encrypted, body)

    def copy(self, pieces: Iterable[bytes], account: str, encrypted: bool) -> Written:
        return self._write(pieces, account, encrypted, None)

    def _write(self, pieces: Iterable[bytes], account: str, encrypted: bool, source: Body | None) -> Written:
        plain = os.urandom(_KEY_BYTES) if encrypted else None
        key = None if plain is None else self._secrets.seal(plain, _about(account))
        writer = self._objects.writer()
        if plain is not None:
            writer = Cipher(plain, _about(account)).writer(writer)
        size, hashed = 0, hashlib.sha256()
        try:
            if source is not None:
                writer.land(source)
            for piece in pieces:
                writer.write(piece)
                hashed.update(piece)
                size += len(piece)
            return Written(writer.commit(), size, f"sha256:{hashed.hexdigest()}", key)
        except BaseException:
            writer.abort()
            raise

    def read(self, account: str, written: Written, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The pieces from `start` on. Raises FileNotFoundError at once when the blob was deleted; Damaged, also from a
        piece."""
        left = written.size - start if length is None else length
        if written.key is None:
            return self._objects.read(written.blob, start, left)
        try:
            plain = self._secrets.open(written.key, _about(account))
        except SealBroken as error:
            raise Damaged(f"the key of a layer does not open: {error}") from None
        return Cipher(plain, _about(account)).read(self._objects, written.blob, written.size, start, left)

    def discard(self, blobs: Iterable[str]) -> None:
        """Blobs that no row names any more."""
        for blob in blobs:
            self._objects.delete(blob)


def _about(account: str) -> bytes:
    return b"registry layer\0" + account.encode()
