"""What is cleared away in the other store: deletes, many in one request, and aborts of uploads, while it answers."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from clary.objects.remote.bucket import Bucket, Refused

_TOGETHER = 1000  # keys in one request
_MOST = 200_000  # keys that wait; of more, a sweep has to find those that were not needed any more
_REMEMBERED = 60.0  # seconds: longer than any reader needs from an index's row to the blob that it names
_LONGEST_PAUSE = 5.0
_END = 5.0  # seconds that `close` waits for what is under way
_LOG = logging.getLogger(__name__)


class Background:
    """One thread, there from the first task on. `key` says where a blob is."""

    def __init__(self, bucket: Bucket, key: Callable[[str], str]) -> None:
        self._bucket = bucket
        self._key = key
        self._changed = threading.Condition()
        self._blobs: deque[str] = deque()
        self._uploads: deque[tuple[str, str]] = deque()
        self._gone: OrderedDict[str, float] = OrderedDict()  # deleted blobs, and when
        self._thread: threading.Thread | None = None
        self._closing = False

    def delete(self, blob: str) -> None:
        with self._changed:
            now = time.monotonic()
            self._gone[blob] = now
            while (oldest := next(iter(self._gone))) and self._gone[oldest] < now - _REMEMBERED:
                del self._gone[oldest]
            if len(self._blobs) < _MOST:
                self._blobs.append(blob)
            self._begin()

    def abort(self, key: str, upload: str) -> None:
        with self._changed:
            if len(self._uploads) < _MOST:
                self._uploads.append((key, upload))
            self._begin()

    def is_gone(self, blob: str) -> bool:
        """Whether it was deleted a moment ago, be it still there."""
        with self._changed:
            return blob in self._gone

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_END)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="objects-background", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        pause = 1.0
        while (task := self._next()) is not None:
            try:
                task()
                pause = 1.0
            except Exception as error:  # the thread lives as long as the store
                _LOG.warning("leftovers cannot be cleared away now: %s", error)
                if self._wait(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _next(self) -> Callable[[], None] | None:
        """The next task; None when there is no more and nobody will bring any."""
        with self._changed:
            while not (self._blobs or self._uploads):
                if self._closing:
                    return None
                self._changed.wait()
            return self._abort_one if self._uploads else self._delete_some

    def _wait(self, seconds: float) -> bool:
        """Whether the end came meanwhile."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, seconds)

    def _abort_one(self) -> None:
        key, upload = self._uploads[0]
        try:
            self._bucket.abort(key, upload)
        except (Refused, OSError) as error:
            _LOG.warning("an upload was not aborted: %s", error)
        self._uploads.popleft()

    def _delete_some(self) -> None:
        with self._changed:
            blobs = [self._blobs[at] for at in range(min(len(self._blobs), _TOGETHER))]
        try:
            for each in self._bucket.delete([self._key(blob) for blob in blobs]):
                _LOG.warning("the store of objects did not delete %s", each)
        except (Refused, OSError) as error:
            _LOG.warning("blobs were not deleted: %s", error)
        with self._changed:
            for _ in blobs:
                self._blobs.popleft()
