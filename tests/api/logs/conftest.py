"""CloudWatch Logs alone behind a real port, without the gate, over every kind of database; tests move its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from api.one_service import OneService, router, session
from api.port import port
from clary.config import Settings
from clary.context import Platform, Stores
from clary.services.logs import OPERATIONS, VALIDATION_CODE
from clary.store import schema
from clary.testing.frozen_clock import FrozenClock
from clary.wire.router import Router
from databases import open_database

__all__ = ["router", "session"]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(1_700_000_000.5)


@pytest.fixture
def platform(tmp_path: Path, clock: FrozenClock, database_urls: Callable[[], str]) -> Iterator[Platform]:
    database = open_database(database_urls(), tmp_path, schema.LOGS)
    absent = cast(Any, None)
    settings = Settings.load({}, home=tmp_path)
    yield Platform(settings, clock, Stores(absent, absent, database), absent, absent, absent, lambda: None, absent)
    database.close()


@pytest.fixture
def aws(platform: Platform, router: Router, session: boto3.Session) -> Iterator[Callable[[str], Any]]:
    config = Config(retries={"max_attempts": 0}, parameter_validation=False)
    one = OneService(platform, router, "logs", OPERATIONS, VALIDATION_CODE)
    with port(one.answer) as url, ExitStack() as clients:

        def client(name: str) -> Any:
            made = session.client(name, endpoint_url=url, config=config)
            clients.callback(made.close)
            return made

        yield client
