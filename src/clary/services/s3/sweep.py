"""Clearing up after crashes: blobs that were written but never entered in the index or the
registry, or dropped from there but not deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sqlalchemy.engine import Connection

from clary.objects.base import ObjectStore
from clary.registry import layers
from clary.services.s3 import index
from clary.store.engine import Database

GRACE = 3600.0  # seconds; longer than any request lives between the end of its blob and its index transaction


def sweep(store: ObjectStore, database: Database, grace: float = GRACE) -> int:
    """Deletes leftovers older than `grace` seconds; returns how many. Safe beside running requests."""
    return store.sweep(lambda blobs: database.read(lambda connection: named(connection, blobs)), grace)


def named(connection: Connection, blobs: Sequence[str]) -> set[str]:
    """Those of them that the index or the registry names."""
    return index.named(connection, blobs) | layers.named(connection, blobs)


def after_start(store: ObjectStore, database: Database, wait: Callable[[float], object] = time.sleep) -> None:
    """For the background of a start: at once, and again when what the crash before this start left is old enough to be
    told from what is under way."""
    sweep(store, database)
    wait(GRACE + 60)
    sweep(store, database)
