"""KMS alone behind a real port, without the gate, over every kind of database; tests move its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from sqlalchemy.engine import Connection

from api.one_service import ACCOUNT, REGION, OneService, router, session
from api.port import port
from clary.auth.policy import Caller
from clary.config import Settings
from clary.context import Platform, Stores
from clary.secrets import RootKey
from clary.services.kms import OPERATIONS, RECONCILERS
from clary.store import queues, records, schema
from clary.store.records import Record
from clary.testing.frozen_clock import FrozenClock
from clary.wire.router import Router
from databases import open_database

__all__ = ["router", "session"]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def platform(tmp_path: Path, clock: FrozenClock, database_urls: Callable[[], str]) -> Iterator[Platform]:
    database = open_database(database_urls(), tmp_path, schema.RECORDS)
    absent = cast(Any, None)
    settings = Settings.load({}, home=tmp_path)
    stores = Stores(database, absent, absent)
    yield Platform(settings, clock, stores, absent, absent, absent, lambda: None, RootKey.load(settings))
    database.close()


@pytest.fixture
def one(platform: Platform, router: Router) -> OneService:
    return OneService(platform, router, "kms", OPERATIONS)


@pytest.fixture
def aws(one: OneService, session: boto3.Session) -> Iterator[Callable[..., Any]]:
    """aws() -> a client of the account's root; of another account, region or caller when asked."""
    config = Config(retries={"max_attempts": 0}, parameter_validation=False)
    clients = []
    callers: dict[str, Caller] = {}
    with port(lambda request: one.answer(request, callers)) as url:

        def client(account: str = ACCOUNT, region: str = REGION, caller: Caller | None = None) -> Any:
            if caller is not None:
                account = f"CALLER{len(callers):010}"
                callers[account] = caller
            made = session.client(
                "kms",
                endpoint_url=url,
                config=config,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="secret",
            )
            clients.append(made)
            return made

        yield client
        for made in clients:
            made.close()


@pytest.fixture
def kms(aws: Callable[..., Any]) -> Any:
    return aws()


@pytest.fixture
def settle(platform: Platform) -> Callable[[], None]:
    """Carries out what is due now, as the loop would."""

    (kind, reconciler), *_ = RECONCILERS.items()

    def due(connection: Connection) -> list[Record]:
        found = queues.due(connection, kind, reconciler.statuses, reconciler.queue, platform.clock.now())
        return [record for _, arn in found.places if (record := records.by_arn(connection, arn)) is not None]

    def settle() -> None:
        for record in platform.stores.records.read(due):
            reconciler.reconcile(platform, record)

    return settle
