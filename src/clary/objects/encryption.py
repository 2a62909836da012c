"""Objects' bytes, encrypted: a file that is read from any place on, and in which no change goes unnoticed.

A file is a head, `CLE1 | nonce prefix (8 bytes)`, and frames of 64 KiB of plaintext (the last one shorter, of an empty
object empty), each AES-256-GCM with its tag behind it. A frame's nonce is the prefix and its number, so that frames
cannot change places; bound to it are the head, the context, and whether it is the last, so that none can be cut off or
added. Every file has a key of its own; for another file of the same key the prefix is another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clary.objects.damage import Damaged

FRAME = 64 * 1024
TAG = 16
_MAGIC = b"CLE1"
_PREFIX, _NUMBER = 8, 4
HEAD = len(_MAGIC) + _PREFIX


class Source(Protocol):
    """What is read from: a file."""

    def seek(self, offset: int, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


def encrypted_size(size: int) -> int:
    """Bytes of the file of an object of `size` bytes."""
    return HEAD + size + TAG * _frames(size)


def _frames(size: int) -> int:
    return max(1, -(-size // FRAME))


class Encryptor:
    """Turns an object's bytes, piece by piece, into those of its file; holds less than one frame and what it is given.
    `key` has 32 bytes; `context` is what the file is of, and has to be known again to decrypt it."""

    def __init__(self, key: bytes, context: bytes) -> None:
        self._head = _MAGIC + os.urandom(_PREFIX)
        self._cipher = _Frames(key, self._head, context)
        self._number = 0
        self._held = bytearray()
        self._begun = False

    def update(self, piece: bytes) -> bytes:
        """The bytes to write next. The last frame waits for `finish`, as only then it is known to be the last."""
        self._held += piece
        out = [] if self._begun else [self._head]
        self._begun = True
        at = 0
        with memoryview(self._held) as held:
            while len(held) - at > FRAME:
                out.append(self._cipher.encrypt(self._number, held[at : at + FRAME], last=False))
                self._number += 1
                at += FRAME
        del self._held[:at]
        return b"".join(out)

    def finish(self) -> bytes:
        """The rest of the file."""
        head = self.update(b"")
        return head + self._cipher.encrypt(self._number, self._held, last=True)


def decrypted(
    source: Source, key: bytes, context: bytes, size: int, start: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """The object's bytes from `start` to before `end` (default: all), in pieces of at most one frame. `size` is the
    whole object's. Nothing is given out that was not verified; raises Damaged where something is wrong."""
    end = size if end is None else min(end, size)
    source.seek(0)
    frames = _Frames(key, _head(source.read(HEAD)), context)
    if start >= end:
        if size == 0:  # there is one frame, which says that there is nothing
            _frame(source, frames, 0, 0, last=True)
        return
    first, final = start // FRAME, (end - 1) // FRAME
    source.seek(HEAD + first * (FRAME + TAG))
    for number in range(first, final + 1):
        last = number == _frames(size) - 1
        length = size - number * FRAME if last else FRAME
        plain = _frame(source, frames, number, length, last)
        begin = number * FRAME
        yield plain[max(start - begin, 0) : end - begin] if begin < start or begin + length > end else plain


def _head(head: bytes) -> bytes:
    if len(head) != HEAD or not head.startswith(_MAGIC):
        raise Damaged("the head is not that of an encrypted object")
    return head


def _frame(source: Source, frames: _Frames, number: int, length: int, last: bool) -> bytes:
    data = source.read(length + TAG + (1 if last else 0))  # a byte more, where there must not be one
    if len(data) != length + TAG:
        raise Damaged(f"frame {number} is {'too long' if len(data) > length + TAG else 'cut off'}")
    return frames.decrypt(number, data, last)


class _Frames:
    """The frames of one file."""

    def __init__(self, key: bytes, head: bytes, context: bytes) -> None:
        self._cipher = AESGCM(key)
        self._prefix = head[len(_MAGIC) :]
        bound = head + len(context).to_bytes(4, "big") + context
        self._inner, self._last = bound + b"\x00", bound + b"\x01"

    def encrypt(self, number: int, plain: bytes | bytearray | memoryview, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(number), plain, self._last if last else self._inner)

    def decrypt(self, number: int, data: bytes, last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self._nonce(number), data, self._last if last else self._inner)
        except InvalidTag:
            raise Damaged(f"frame {number} is not what was written") from None

    def _nonce(self, number: int) -> bytes:
        return self._prefix + number.to_bytes(_NUMBER, "big")
