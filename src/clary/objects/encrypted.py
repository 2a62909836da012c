"""Encrypted bytes in an object store: written through an `Encryptor`, read frame by frame."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from clary.objects.base import ObjectStore, Writer
from clary.objects.encryption import Encryptor, decrypted
from clary.wire.messages import Body


@dataclass(frozen=True, slots=True)
class Cipher:
    """What bytes are encrypted with: a key of 32 bytes, and the context that says what they are of."""

    key: bytes = field(repr=False)
    context: bytes

    def of(self, part: str) -> Cipher:
        """The one for a part of these bytes, which is a file of its own."""
        return dataclasses.replace(self, context=self.context + b"\0" + part.encode())

    def encrypt(self, data: bytes) -> bytes:
        encryptor = Encryptor(self.key, self.context)
        return encryptor.update(data) + encryptor.finish()

    def decrypt(self, data: bytes, size: int, start: int, length: int) -> bytes:
        """`length` bytes from `start` of the `size` that `data` was made of. Raises Damaged."""
        return b"".join(decrypted(io.BytesIO(data), self.key, self.context, size, start, start + length))

    def writer(self, writer: Writer) -> Writer:
        """Writes encrypted, with `writer`, what it is given."""
        return _EncryptingWriter(writer, Encryptor(self.key, self.context))

    def read(self, objects: ObjectStore, blob: str, size: int, start: int, length: int) -> Iterator[bytes]:
        """As `ObjectStore.read`, of the `size` bytes that the blob was made of. Raises FileNotFoundError at once and
        Damaged on the way; nothing is given out that was not verified."""
        return self._pieces(_Blob(objects, blob), size, start, length)

    def _pieces(self, blob: _Blob, size: int, start: int, length: int) -> Iterator[bytes]:
        with closing(blob):
            yield from decrypted(blob, self.key, self.context, size, start, start + length)


class _EncryptingWriter:
    def __init__(self, writer: Writer, encryptor: Encryptor) -> None:
        self._writer = writer
        self._encryptor = encryptor

    def write(self, data: bytes) -> None:
        self._writer.write(self._encryptor.update(data))

    def land(self, body: Body) -> None:
        """Not here: the bytes of a body are not those of the blob."""

    def commit(self) -> str:
        self._writer.write(self._encryptor.finish())
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()


class _Blob:
    """A blob as a file to read from. From its making on, a delete does not disturb the reading."""

    def __init__(self, objects: ObjectStore, blob: str) -> None:
        self._objects, self._blob = objects, blob
        self._pieces = objects.read(blob)
        self._held = bytearray()
        self._at = 0

    def seek(self, offset: int, /) -> int:
        if offset == self._at:  # to open a blob of another store costs a request
            return offset
        before, self._pieces = self._pieces, self._objects.read(self._blob, offset)
        before.close()
        self._held.clear()
        self._at = offset
        return offset

    def read(self, size: int, /) -> bytes:
        while len(self._held) < size and (piece := next(self._pieces, b"")):
            self._held += piece
        data = bytes(self._held[:size])
        del self._held[:size]
        self._at += len(data)
        return data

    def close(self) -> None:
        self._pieces.close()
