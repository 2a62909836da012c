"""Clearing up after crashes: blobs that were written but never indexed, or dropped from the index but not deleted."""

from __future__ import annotations

from clary.objects.filesystem import FilesystemStore
from clary.services.s3 import index
from clary.store.engine import Database

GRACE = 3600.0  # seconds; longer than any request lives between the end of its blob and its index transaction


def sweep(store: FilesystemStore, database: Database, grace: float = GRACE) -> int:
    """Deletes leftovers older than `grace` seconds; returns how many. Safe beside running requests, meant for the
    background of a start."""
    return store.sweep(lambda blob: database.read(lambda connection: index.names_blob(connection, blob)), grace)
