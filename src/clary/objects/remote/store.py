"""The object store whose blobs are objects of another S3-compatible store: `<prefix>/<xx>/<blob>`, where `xx` are the
first two characters of the blob's name, as the embedded store's files are named below its folder."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from clary.objects.base import Known, Lent, Writer
from clary.objects.blobs import NAME
from clary.objects.pins import Pins
from clary.objects.remote.background import Background
from clary.objects.remote.bucket import Bucket, Refused
from clary.objects.remote.place import Place
from clary.objects.remote.reading import RemoteReading
from clary.objects.remote.writing import RemoteWriter, new_name

_LOG = logging.getLogger(__name__)
_SENDERS = 8  # parts that are sent at once, of all writers
_REMEMBERED = 3600.0  # seconds: what sweeps spare, and longer than any request takes to enter its blob in the index


class RemoteStore:
    """Blobs in the bucket of a place. Only one server may keep its blobs there (`claim`).

    A blob is deleted some time after `delete`, in the background, and not while this process reads it."""

    def __init__(self, place: Place) -> None:
        self._bucket = Bucket(place)
        self._prefix = place.prefix
        self._background = Background(self._bucket, self._key)
        self._pins = Pins(self._background.delete)
        self._sending = ThreadPoolExecutor(_SENDERS, "objects-sending")
        self._mutex = threading.Lock()
        self._writing: set[str] = set()  # blobs
        self._in_parts: OrderedDict[str, float] = OrderedDict()  # blobs, and when they were whole

    def writer(self) -> Writer:
        writer = RemoteWriter(self._bucket, self._sending, self._key, self._background, self._ended)
        with self._mutex:
            self._writing.add(writer.name)
        return writer

    def read(self, blob: str, offset: int = 0, length: int | None = None) -> RemoteReading:
        self._pins.add(blob)
        if not NAME.fullmatch(blob) or self._background.is_gone(blob):
            self._pins.drop(blob)
            raise FileNotFoundError(f"no blob is named {blob!r}")
        return RemoteReading(self._bucket, self._key(blob), offset, length, lambda: self._pins.drop(blob))

    def path(self, blob: str) -> None:
        return None

    def url(self, blob: str, seconds: int) -> str:
        return self._bucket.url(self._key(blob), seconds)

    def lend(self, md5: str, seconds: int) -> Lent:
        blob = new_name()
        return Lent(blob, self._bucket.url_to_put(self._key(blob), md5, seconds))

    def arrived(self, blob: str, size: int, md5: str) -> bool:
        """The store has compared them with the MD5 that is in the address. That its ETag is the same is asked of it
        besides, for the sake of stores that would not; under a KMS key of the store an ETag is something else."""
        try:
            found = self._bucket.head(self._key(blob))
        except FileNotFoundError:
            return False
        return found.size == size and (found.tag == md5 or found.under_a_key)

    def delete(self, blob: str) -> None:
        self._pins.doom(blob)

    def hold(self) -> AbstractContextManager[None]:
        return self._pins.hold()

    def sweep(self, known: Known, grace: float) -> int:
        try:
            uploads = self._sweep_uploads(grace)
        except Refused as error:  # some stores list no uploads
            _LOG.warning("unfinished uploads in the store of objects are not swept: %s", error)
            uploads = 0
        return self._sweep_blobs(known, grace) + uploads

    def close(self) -> None:
        self._sending.shutdown(wait=False, cancel_futures=True)
        self._background.close()

    def _sweep_blobs(self, known: Known, grace: float) -> int:
        swept = 0
        for page in self._bucket.list(f"{self._prefix}/"):
            old = [blob for each in page if each.age >= grace and (blob := self._blob(each.key))]
            gone = self._unspared(set(old).difference(known(old)), grace) if old else set()
            for blob in gone:
                self._pins.doom(blob)
            swept += len(gone)
        return swept

    def _unspared(self, blobs: set[str], grace: float) -> set[str]:
        """Without what this process writes or wrote in parts within `grace`: such an object's age is told from when it
        was begun, and the index may not name it yet."""
        since = time.monotonic() - grace
        with self._mutex:
            return {each for each in blobs - self._writing if self._in_parts.get(each, since) <= since}

    def _sweep_uploads(self, grace: float) -> int:
        """A slow client may be at it for longer than `grace`: what this process writes is none."""
        with self._mutex:
            writing = frozenset(self._writing)
        swept = 0
        for each in self._bucket.uploads(f"{self._prefix}/"):
            blob = self._blob(each.key)
            if each.age >= grace and blob and blob not in writing:
                self._background.abort(each.key, each.upload)
                swept += 1
        return swept

    def _ended(self, blob: str, in_parts: bool) -> None:
        now = time.monotonic()
        with self._mutex:
            self._writing.discard(blob)
            if in_parts:
                self._in_parts[blob] = now
            while self._in_parts and next(iter(self._in_parts.values())) < now - _REMEMBERED:
                self._in_parts.popitem(last=False)

    def _key(self, blob: str) -> str:
        return f"{self._prefix}/{blob[:2]}/{blob}"

    def _blob(self, key: str) -> str:
        """Of a key; "" when it is none of ours."""
        blob = key.rpartition("/")[2]
        return blob if NAME.fullmatch(blob) and key == self._key(blob) else ""
