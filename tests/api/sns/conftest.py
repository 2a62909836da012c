"""SNS, with S3 beside it, behind real sockets and the real pipeline; tests move its clock. The access key ALT is
another account's root, every other the first one's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from api.port import port
from api.s3.conftest import MODELS, TwoAccounts
from api.sns.listener import Listener, listener
from clary.auth.gate import Gate
from clary.clock import SystemClock
from clary.config import Settings
from clary.context import Platform, Stores
from clary.objects.filesystem import FilesystemStore
from clary.scheduler.signal import Signal
from clary.secrets import RootKey
from clary.server.pipeline import Pipeline
from clary.services.access.authority import Authority
from clary.services.s3 import event_sender
from clary.services.s3.cors import CrossOrigin
from clary.services.sns.certificates import Certificates
from clary.services.sns.delivering import Deliverer
from clary.services.tables import OPERATIONS, VALIDATION_CODES
from clary.services.waiting import Waiting
from clary.store import schema
from clary.testing.frozen_clock import FrozenClock
from clary.wire.messages import Request, Response
from clary.wire.router import Router
from databases import open_database

REGION = "us-east-1"


class Served:
    """A server's parts. `platform` holds its clock (to be moved, then `look`)."""

    def __init__(self, home: Path, database_url: Callable[[], str]) -> None:
        self.clock = FrozenClock()
        self.signal = Signal()
        opened = [open_database(database_url(), home / name, tables) for name, tables in _DATABASES]
        stores = Stores(opened[0], opened[1], cast(Any, None))
        settings = Settings.load({}, home=home)
        objects, nothing = FilesystemStore(home / "objects"), cast(Any, None)
        self.settings = settings
        self.platform = Platform(
            settings, self.clock, stores, objects, nothing, nothing, self.signal, RootKey.load(settings)
        )
        self.url = ""

    def answering(self) -> Callable[[Request], Response]:
        platform, router = self.platform, Router(MODELS)
        gate, waiting = Gate(TwoAccounts(), SystemClock(), platform.settings), Waiting({}, 0, platform.clock)
        authority = Authority(platform.stores.records, platform.stores.objects, platform.clock)
        origins = CrossOrigin(platform)
        pipeline = Pipeline(platform, router, gate, OPERATIONS, VALIDATION_CODES, waiting, origins, authority)
        return cast(Callable[[Request], Response], Certificates(platform, router, pipeline))

    def reached(self, url: str) -> None:
        """Links in messages lead there."""
        self.url = url
        object.__setattr__(self.platform.settings, "public_url", url)

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.signal()

    def client(self, service: str, key: str = "MAIN", region: str = REGION) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 1}, parameter_validation=False, s3={"addressing_style": "path"}),
        )

    def close(self) -> None:
        self.platform.stores.records.close()
        self.platform.stores.objects.close()


_DATABASES = (("records", schema.RECORDS), ("objects", schema.OBJECTS))


@pytest.fixture
def served(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[Served]:
    for name, _ in _DATABASES:
        (tmp_path / name).mkdir()
    made = Served(tmp_path, database_urls)
    deliverer = Deliverer(made.platform, made.signal)
    with port(made.answering()) as url:
        made.reached(url)
        deliverer.start()
        stopping = threading.Event()
        sender = threading.Thread(target=event_sender.forever, args=(made.platform, stopping, 0.02))
        sender.start()
        yield made
        stopping.set()
        sender.join()
        deliverer.stop()
    made.close()


@pytest.fixture
def sns(served: Served) -> Any:
    return served.client("sns")


@pytest.fixture
def topic(sns: Any) -> str:
    return str(sns.create_topic(Name="news")["TopicArn"])


@pytest.fixture
def inbox() -> Iterator[Listener]:
    with listener() as made:
        yield made
