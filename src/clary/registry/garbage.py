"""What nobody needs any more: uploads that stopped, layers that no image needs, bytes that no repository has.

Nothing is kept between two rounds, and each step is a transaction of its own: one that was killed is made good by the
next. Bytes go after the commit that forgets them; what a crash leaves in between is the object store's sweep's.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.registry import layers, uploads
from clary.registry.bytes_at_rest import Bytes
from clary.store.engine import Database

GRACE = 86_400.0  # seconds in which a push that has begun may come to its end
_BATCH = 500


class Freed(NamedTuple):
    """`blobs` of layers, which had `size` bytes, and of parts of uploads."""

    blobs: int = 0
    size: int = 0


def collect(database: Database, kept: Bytes, clock: Clock, grace: float = GRACE) -> Freed:
    """Frees what nobody has touched for `grace` seconds. Safe beside running pushes that take no longer."""
    before = clock.now() - grace
    count, size = 0, 0

    def drop_uploads() -> int:
        nonlocal count
        forgotten, blobs = database.write(lambda connection: uploads.abandoned(connection, before, _BATCH))
        kept.discard(blobs)
        count += len(blobs)
        return forgotten

    def free() -> int:
        nonlocal count, size
        freed = database.write(lambda connection: layers.free(connection, _BATCH))
        kept.discard(freed)
        count += len(freed)
        size += sum(freed.values())
        return len(freed)

    for step in (drop_uploads, lambda: database.write(lambda connection: _let_go(connection, before)), free):
        while step():
            pass
    return Freed(count, size)


def _let_go(connection: Connection, before: float) -> int:
    found = layers.unneeded(connection, before, _BATCH)
    layers.let_go(connection, found)
    return len(found)
