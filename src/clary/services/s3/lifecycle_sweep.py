"""Lifecycle rules, carried out: what is due is looked for again and again, and acted on in small transactions. The same
rounds end what else has its time: restored copies, and names that were lent to agents.

Nothing is kept between two rounds: one that was killed is made good by the next. What is due is judged twice: by what a
listing says, and in the transaction that acts on it by what is there then.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.services.s3 import (
    archives,
    bucket_settings,
    events,
    index,
    lending,
    lifecycle,
    lifecycle_rules,
    listings,
    lock,
    options,
    uploads,
    version_listings,
    versions,
    writing,
)
from clary.services.s3.index import Bucket
from clary.services.s3.lifecycle_rules import Rule
from clary.services.s3.uploads import Upload
from clary.services.s3.version_listings import Position
from clary.services.s3.versions import Deleted, Kept

_LOG = logging.getLogger(__name__)
_EVERY = 3600.0  # seconds; rules count in days
_BATCH = 500  # versions or uploads looked at, and at most acted on, in one transaction
_EXPIRE, _REMOVE = "expire", "remove"  # what may become of a version; all else is its new storage class

Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a bucket wants, at a point in time. `prefix` is what the keys begin with that its rules are about."""

    bucket: Bucket
    rules: Sequence[Rule]
    prefix: bytes
    small_too: bool
    now: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A version where it stands: `since` is when the next newer one took its place (None: it is the newest), `newer`
    how many noncurrent ones come before it, `alone` that its key has no other."""

    kept: Kept
    since: float | None
    newer: int
    alone: bool


@dataclass(slots=True)
class _Walk:
    """Through the versions of a bucket, newest first: what a batch has to know of the one before it."""

    position: Position | None = field(default_factory=lambda: Position(b""))
    last: Kept | None = None
    newer: int = 0


def forever(platform: Platform, stopping: threading.Event, every: float = _EVERY) -> None:
    """Sweeps at once and then every `every` seconds, until `stopping` is set."""
    while not stopping.is_set():
        try:
            sweep(platform, stopping.is_set)
            archives.sweep(platform, stopping.is_set)
            lending.sweep(platform, stopping.is_set)
        except Exception:
            if not stopping.is_set():
                _LOG.exception("carrying out what is due failed; the next round tries again")
        stopping.wait(every)


def sweep(platform: Platform, stopped: Stopped = lambda: False) -> int:
    """Carries out what is due in all buckets; returns on how many versions and uploads it acted."""
    names = platform.stores.objects.read(lambda connection: bucket_settings.having(connection, lifecycle.NAME))
    return sum(_versions(platform, name, stopped) + _uploads(platform, name, stopped) for name in names)


def _rules(connection: Connection, name: str, now: float) -> _Rules | None:
    bucket = index.find_bucket(connection, name)
    configured = None if bucket is None else bucket_settings.find(connection, bucket, lifecycle.NAME)
    if bucket is None or configured is None:
        return None
    rules = [rule for rule in configured["Rules"] if rule["Status"] == "Enabled"]
    return _Rules(bucket, rules, lifecycle_rules.common_prefix(rules), configured["Smallest"] == lifecycle.VARIES, now)


def _versions(platform: Platform, name: str, stopped: Stopped) -> int:
    walk, acted = _Walk(), 0
    while walk.position is not None and not stopped():
        acted += _batch(platform, name, walk)
    return acted


def _batch(platform: Platform, name: str, walk: _Walk) -> int:
    now = platform.clock.now()
    due, walk.position = platform.stores.objects.read(lambda connection: _due(connection, name, walk, now))
    if not due:
        return 0
    acted, freed = platform.stores.objects.write(lambda connection: _act(connection, name, due, now))
    writing.discard(platform, freed)
    return acted


def _due(connection: Connection, name: str, walk: _Walk, now: float) -> tuple[list[_Seen], Position | None]:
    """Of the next batch, and the position behind it if there is more."""
    rules = _rules(connection, name, now)
    if rules is None or walk.position is None or not rules.rules:
        return [], None
    start = max(walk.position, Position(rules.prefix), key=lambda each: (each.key, each.place))
    rows = version_listings.scan(connection, name, start, listings.successor(rules.prefix), _BATCH + 1)
    batch = rows[:_BATCH]
    due = [each for each in _seen(walk, batch, rows[_BATCH:]) if _becomes(rules, each) is not None]
    return due, version_listings.behind(connection, batch[-1]) if len(rows) > _BATCH else None


def _seen(walk: _Walk, rows: Sequence[Kept], following: Sequence[Kept]) -> Iterator[_Seen]:
    for kept, behind in zip(rows, [*rows[1:], *following[:1], None], strict=False):
        before, walk.last = walk.last, kept
        if before is None or before.entry.key != kept.entry.key:
            walk.newer = 0
            yield _Seen(kept, None, 0, alone=behind is None or behind.entry.key != kept.entry.key)
        else:
            yield _Seen(kept, before.entry.modified, walk.newer, alone=False)
            walk.newer += 1


def _becomes(rules: _Rules, seen: _Seen) -> str | None:
    """What is due to become of the version."""
    entry, found = seen.kept.entry, list[tuple[float, str]]()
    for rule in rules.rules:
        if not lifecycle_rules.is_about(rule, entry):
            continue
        if seen.since is not None:
            found += _of_noncurrent(rules, rule, seen, seen.since)
        elif seen.kept.marker:
            found += _of_marker(rule, seen)
        else:
            expiry = lifecycle_rules.expiry(rule, entry)
            found += [] if expiry is None else [(expiry, _EXPIRE)]
            found += lifecycle_rules.transitions(rule, entry, rules.small_too)
    due = sorted((when, what) for when, what in found if when <= rules.now)
    for what in (_EXPIRE, _REMOVE):
        if any(each == what for _, each in due):
            return what
    return due[-1][1] if due and _is_later(due[-1][1], entry.storage_class) else None


def _is_later(storage_class: str, present: str) -> bool:
    """Objects never move back."""
    order = options.STORAGE_CLASSES.index
    return order(storage_class) > order(present)


def _of_noncurrent(rules: _Rules, rule: Rule, seen: _Seen, since: float) -> Iterator[tuple[float, str]]:
    expiry = lifecycle_rules.noncurrent_expiry(rule, since, seen.newer)
    if expiry is not None:
        yield expiry, _REMOVE
    if not seen.kept.marker:
        yield from lifecycle_rules.noncurrent_transitions(rule, seen.kept.entry, since, seen.newer, rules.small_too)


def _of_marker(rule: Rule, seen: _Seen) -> Iterator[tuple[float, str]]:
    """A marker that hides nothing goes at once where that is asked for, or when an object would have expired."""
    expiration = rule.get("Expiration") or {}
    if seen.alone and expiration.get("ExpiredObjectDeleteMarker"):
        yield 0.0, _REMOVE
    elif seen.alone and "Days" in expiration:
        yield lifecycle_rules.due_after(seen.kept.entry.modified, expiration["Days"]), _REMOVE


def _act(connection: Connection, name: str, due: Sequence[_Seen], now: float) -> tuple[int, list[str]]:
    """(on how many versions, freed blobs)"""
    rules, acted, freed = _rules(connection, name, now), 0, list[str]()
    if rules is None:
        return 0, []
    for seen in due:
        kept = _there(connection, name, seen)
        what = None if kept is None else _becomes(rules, dataclasses.replace(seen, kept=kept))
        if kept is None or what is None or (what == _REMOVE and lock.is_locked(kept.entry.lock, now)):
            continue
        acted += 1
        if what == _EXPIRE:
            done = versions.delete(connection, rules.bucket, kept.entry.key, now)
        elif what == _REMOVE:
            done = Deleted(versions.remove(connection, kept), kept.entry.version, kept.marker)
        else:
            versions.change(connection, kept.entry, storage_class=what)
            events.described(connection, rules.bucket, events.of_service(now), "LifecycleTransition", kept.entry)
            continue
        freed += done.freed
        cause, key = events.of_service(now), kept.entry.key
        events.removed(connection, rules.bucket, cause, "LifecycleExpiration", key, done)
    return acted, freed


def _there(connection: Connection, name: str, seen: _Seen) -> Kept | None:
    """What was seen, if it is still there and still stands where it stood."""
    old = seen.kept.entry
    current = index.find(connection, name, old.key)
    if seen.since is None and not seen.kept.marker:
        same = current is not None and (current.version, current.modified) == (old.version, old.modified)
        return Kept(current, 0) if current is not None and same else None
    kept = versions.find(connection, name, old.key, old.version)
    if kept is None or kept.marker != seen.kept.marker or kept.entry.modified != old.modified:
        return None
    if seen.since is not None:
        return kept
    behind = versions.count(connection, name, old.key)
    return kept if current is None and behind == 1 else None


def _uploads(platform: Platform, name: str, stopped: Stopped) -> int:
    acted, position = 0, (b"", "")
    while not stopped():
        found, due = _uploads_due(platform, name, position)
        if due:
            freed = platform.stores.objects.write(functools.partial(_abort, due=due))
            writing.discard(platform, freed)
            acted += len(due)
        if len(found) < _BATCH:
            break
        position = (found[-1].key, found[-1].id)
    return acted


def _uploads_due(platform: Platform, name: str, position: tuple[bytes, str]) -> tuple[list[Upload], list[Upload]]:
    """The next batch of uploads, and those of them whose time is over."""

    def work(connection: Connection) -> tuple[list[Upload], list[Upload]]:
        rules = _rules(connection, name, platform.clock.now())
        if rules is None:
            return [], []
        found = uploads.scan(connection, name, position, None, _BATCH)
        return found, [each for each in found if _is_over(rules, each)]

    return platform.stores.objects.read(work)


def _is_over(rules: _Rules, upload: Upload) -> bool:
    ends = [lifecycle_rules.upload_end(rule, upload.key, upload.started) for rule in rules.rules]
    return any(end is not None and end <= rules.now for end in ends)


def _abort(connection: Connection, due: Sequence[Upload]) -> list[str]:
    """Those that are still there: one that was completed meanwhile has parts that are an object's."""
    return [
        blob
        for upload in due
        if uploads.find(connection, upload.bucket, upload.key, upload.id) is not None
        for blob in uploads.abort(connection, upload.id)
    ]
