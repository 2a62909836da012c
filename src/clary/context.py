"""The one value through which effects come in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from clary.clock import Clock
from clary.compute.base import Compute
from clary.config import Settings
from clary.images.base import Images
from clary.objects.base import ObjectStore
from clary.secrets import KeptDataKeys, RootKey
from clary.store.engine import Database


@dataclass(frozen=True, slots=True)
class Stores:
    """Separate databases, so that a storm in one cannot stall the others: records; the object index; log lines."""

    records: Database
    objects: Database
    logs: Database


@dataclass(frozen=True, slots=True)
class Platform:
    """Built once in app.py, frozen, passed down. `wake()` tells the scheduler's loop that a record it may care about
    changed (call it after the commit; cheap, may be called often)."""

    settings: Settings
    clock: Clock
    stores: Stores
    objects: ObjectStore
    images: Images
    compute: Compute
    wake: Callable[[], None]
    secrets: RootKey
    data_keys: KeptDataKeys = field(default_factory=KeptDataKeys)
