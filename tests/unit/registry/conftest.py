"""A registry's rooms over every kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clary.objects.filesystem import FilesystemStore
from clary.registry import garbage, repositories
from clary.registry.bytes_at_rest import Bytes
from clary.registry.names import Place
from clary.registry.pulling import ImageSource
from clary.registry.repositories import Repository
from clary.registry.uploads import Uploads
from clary.secrets import SealingKey
from clary.store import schema
from clary.testing.frozen_clock import FrozenClock
from databases import database_urls, open_database, postgres_server
from unit.registry.homes import ACCOUNT, REGION

__all__ = ["database_urls", "postgres_server"]


@pytest.fixture
def home(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[Any]:
    database, clock = open_database(database_urls(), tmp_path, schema.OBJECTS), FrozenClock()
    objects, secrets = FilesystemStore(tmp_path / "blobs"), SealingKey(bytes(32))
    kept = Bytes(objects, secrets)

    def add(name: str, account: str = ACCOUNT, encrypted: bool = False) -> Repository:
        place = Place(account, REGION, name)
        return database.write(lambda connection: repositories.add(connection, place, clock.now(), {}, encrypted, {}))

    yield SimpleNamespace(
        database=database,
        clock=clock,
        objects=objects,
        kept=kept,
        add=add,
        uploads=Uploads(database, kept, clock),
        secrets=secrets,
        source=ImageSource(database, objects, secrets, clock),
        files=lambda: sorted(path.name for path in (tmp_path / "blobs").glob("[0-9a-f][0-9a-f]/*")),
        collect=lambda: garbage.collect(database, kept, clock),
    )
    database.close()
