"""One blob on its way to the other store: in one request, or in parts, of which a few are under way at a time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Executor, Future

from clary.objects.remote.background import Background
from clary.objects.remote.bucket import Bucket
from clary.wire.messages import Body

PART = 5 * 1024 * 1024  # bytes of every part but the last: some stores want them alike, none takes smaller ones
_UNDER_WAY = 2  # parts, beside the one that is being filled: what bounds the memory


def new_name() -> str:
    """Of a blob: one without checksums behind its bytes, which the store keeps itself."""
    return secrets.token_hex(16)


class RemoteWriter:
    """`key` says where a blob is; `background` clears up after it, `ended(blob, in_parts)` hears that it is
    written, in parts or in one piece, or that it is not (False)."""

    def __init__(
        self,
        bucket: Bucket,
        sending: Executor,
        key: Callable[[str], str],
        background: Background,
        ended: Callable[[str, bool], None],
    ) -> None:
        self.name = new_name()
        self._bucket = bucket
        self._sending = sending
        self._key = key(self.name)
        self._background = background
        self._ended = ended
        self._held = bytearray()
        self._upload = ""
        self._parts: list[Future[str]] = []
        self._size = 0
        self._open = True
        self._sent_whole = False  # something may be there under the key

    def write(self, data: bytes) -> None:
        self._held += data
        self._size += len(data)
        while len(self._held) > PART:
            self._send(PART)

    def land(self, body: Body) -> None:
        """Not here: bytes of another store are in no file of this machine."""

    def commit(self) -> str:
        try:
            self._commit()
        except BaseException:
            self.abort()
            raise
        self._open = False
        self._ended(self.name, bool(self._upload))
        return self.name

    def abort(self) -> None:
        """Fine after a commit or another abort, where it changes nothing. What is to be done is done later."""
        if not self._open:
            return
        self._open = False
        self._held.clear()
        for part in self._parts:
            part.cancel()
        if self._upload:
            self._background.abort(self._key, self._upload)
        if self._sent_whole:
            self._background.delete(self.name)
        self._ended(self.name, False)

    def _commit(self) -> None:
        self._sent_whole = True
        if not self._upload:
            self._bucket.put(self._key, bytes(self._held))
            return
        self._send(len(self._held))
        tags = [part.result() for part in self._parts]
        self._bucket.complete(self._key, self._upload, tags, self._size)

    def _send(self, size: int) -> None:
        if not self._upload:
            self._upload = self._bucket.begin(self._key)
        if len(self._parts) >= _UNDER_WAY:
            self._parts[-_UNDER_WAY].result()
        data = bytes(memoryview(self._held)[:size])
        del self._held[:size]
        number = len(self._parts) + 1
        self._parts.append(self._sending.submit(self._bucket.part, self._key, self._upload, number, data))

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.abort()
