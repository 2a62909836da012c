"""The scheduler's loop: for every record that is not at rest, reconcile what is wanted with what is observed.

It is level-triggered: a wake-up says only "look", and every look starts from the records. So a lost wake-up, a crash
between two steps, or a step run twice changes nothing in the end. One record is reconciled by one thread at a time.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.scheduler.outcomes import AgainIn, Done, Outcome
from clary.scheduler.signal import Signal
from clary.store import queues, records
from clary.store.records import Changed, Record

_log = logging.getLogger(__name__)

_LONGEST_NAP = 30.0
_REST = 4.0  # times as long as it looked does the loop rest
_FIRST_BACK_OFF = 0.2
_LONGEST_BACK_OFF = 30.0


@dataclass(frozen=True, slots=True)
class Reconciler:
    """`reconcile` is called for every record of its kind whose status is one of `statuses`; of those in `queue`
    (clary.store.queues) only for the first, and when its `until` is over. It is idempotent and crash-safe, and may
    raise `records.Changed` when somebody else was faster."""

    statuses: tuple[str, ...]
    reconcile: Callable[[Platform, Record], Outcome]
    queue: str = ""


@dataclass(slots=True)
class _Entry:
    """What the loop remembers of one record. `due` is on the monotonic clock; `failures` counts errors in a row."""

    due: float = 0.0
    failures: int = 0
    running: bool = False
    again: bool = False  # woken while it ran


class Loop:
    """`signal` is the platform's `wake`; `workers` bounds how many records are reconciled at once."""

    def __init__(
        self, platform: Platform, reconcilers: Mapping[str, Reconciler], signal: Signal, workers: int = 8
    ) -> None:
        self._platform = platform
        self._reconcilers = reconcilers
        self._signal = signal
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="reconcile")
        self._mutex = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._room = False  # something ended: the next in a queue may have its turn
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the steps that run now; instances live on."""
        self._stopping.set()
        self._signal()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        woken = True  # the first look adopts whatever an earlier life left
        while not self._stopping.is_set():
            begin = self._platform.clock.monotonic()
            try:
                nap = self._look(woken)
            except Exception:
                _log.exception("the scheduler could not read the records; trying again")
                nap = 1.0
            # However long the list is, most of the processor is for those who call.
            self._stopping.wait(_REST * (self._platform.clock.monotonic() - begin))
            woken = self._signal.wait(nap)

    def _look(self, woken: bool) -> float:
        """Hands what is due to the pool; returns how long nothing else will be due."""
        with self._mutex:
            woken, self._room = woken or self._room, False
        active, later = self._platform.stores.records.read(self._active)
        now = self._platform.clock.monotonic()
        with self._mutex:
            self._forget_all_but({arn for _, arn, _ in active})
            free = self._workers - sum(entry.running for entry in self._entries.values())
            for _, arn, kind in active:
                entry = self._entries.setdefault(arn, _Entry())
                if not self._takes(entry, now, woken):
                    continue
                if free > 0:
                    free -= 1
                    entry.running = True
                    self._pool.submit(self._step, arn, kind, entry)
                else:  # when one of them has ended, which ends the nap
                    entry.due = 0.0
            if free <= 0:
                return _LONGEST_NAP
            pending = [entry.due - now for entry in self._entries.values() if not entry.running]
        return min(max(min(pending, default=_LONGEST_NAP), 0.0), later, _LONGEST_NAP)

    def _active(self, connection: Connection) -> tuple[list[tuple[float, str, str]], float]:
        """(created, arn, kind) of what may need a look, in this order; in how many seconds a queued one will."""
        found: list[tuple[float, str, str]] = []
        now, later = self._platform.clock.now(), math.inf
        for kind, reconciler in self._reconcilers.items():
            due = queues.due(connection, kind, reconciler.statuses, reconciler.queue, now)
            found += [(*place, kind) for place in due.places]
            later = min(later, due.later - now)
        return sorted(found), later

    def _forget_all_but(self, arns: Iterable[str]) -> None:
        for arn in self._entries.keys() - arns:
            if not self._entries[arn].running:
                del self._entries[arn]

    @staticmethod
    def _takes(entry: _Entry, now: float, woken: bool) -> bool:
        """Whether this record is looked at now."""
        if entry.running:
            entry.again = entry.again or woken
            return False
        return entry.due <= now or (woken and entry.failures == 0)

    def _step(self, arn: str, kind: str, entry: _Entry) -> None:
        try:
            outcome, failures = self._reconciled(arn, self._reconcilers[kind]), 0
        except Changed:
            outcome, failures = AgainIn(0), 0
        except Exception:
            failures = entry.failures + 1
            wait = min(_FIRST_BACK_OFF * 2 ** (failures - 1), _LONGEST_BACK_OFF)
            _log.exception("reconciling %s failed (attempt %d); trying again in %.1f s", arn, failures, wait)
            outcome = AgainIn(wait)
        with self._mutex:
            entry.due = 0.0 if entry.again else self._platform.clock.monotonic() + _nap(outcome)
            entry.failures, entry.running, entry.again = failures, False, False
            self._room = self._room or isinstance(outcome, Done)
        self._signal.nudge()

    def _reconciled(self, arn: str, reconciler: Reconciler) -> Outcome:
        record = self._platform.stores.records.read(lambda connection: records.by_arn(connection, arn))
        if record is None or record.status not in reconciler.statuses:
            return Done()
        return reconciler.reconcile(self._platform, record)


def _nap(outcome: Outcome) -> float:
    return _LONGEST_NAP if isinstance(outcome, Done) else outcome.seconds
