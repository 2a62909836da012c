"""IAM and STS behind a real socket and the real pipeline, over every kind of database; tests may reach inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from api.port import port
from clary.auth.gate import Gate
from clary.clock import SystemClock
from clary.config import Settings
from clary.context import Platform, Stores
from clary.secrets import RootKey
from clary.server.pipeline import Pipeline
from clary.services import iam, sts
from clary.services.access.authority import Authority
from clary.services.iam import first_start, root_key
from clary.services.iam.keys import RecordKeyring
from clary.services.iam.last_use import LastUses
from clary.services.s3.cors import CrossOrigin
from clary.services.tables import VALIDATION_CODES
from clary.services.waiting import Waiting
from clary.store import schema
from clary.wire.messages import Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from databases import open_database

MODELS = Models()  # of all servers: they are large
TABLES = {"iam": iam.OPERATIONS, "sts": sts.OPERATIONS}


class Server:
    """The real pipeline over the records alone; `url` is where it is asked."""

    url = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.router = Router(MODELS)
        self.open()

    def open(self) -> None:
        database = open_database(self.settings.database_url, self.settings.data, schema.RECORDS)
        first_start.provision(database, self.settings, self.clock)
        objects = open_database(self.settings.database_url, self.settings.data, schema.OBJECTS)
        stores = Stores(database, objects, cast(Any, None))
        nothing, root = cast(Any, None), RootKey.load(self.settings)
        self.platform = Platform(self.settings, self.clock, stores, nothing, nothing, nothing, lambda: None, root)
        used = LastUses(database, self.clock).note
        self.gate = Gate(RecordKeyring(database, self.settings, self.clock, root), self.clock, self.settings, used)
        waiting, origins = Waiting({}, 0, self.clock), CrossOrigin(self.platform)
        authority = Authority(database, cast(Any, None), self.clock, fresh_seconds=0)
        self.pipeline = Pipeline(
            *(self.platform, self.router, self.gate, TABLES, VALIDATION_CODES, waiting, origins, authority)
        )

    def answer(self, request: Request) -> Response:
        answer = self.pipeline(request)
        assert isinstance(answer, Response)  # nothing here is waited for
        return answer

    def reopen(self) -> None:
        """As a restart of the server would."""
        self.close()
        self.open()

    def close(self) -> None:
        self.platform.stores.records.close()
        self.platform.stores.objects.close()


@pytest.fixture
def server(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[Server]:
    settings = Settings(home=tmp_path, database_url=database_urls())
    settings.data.mkdir()
    server = Server(settings)
    with port(server.answer) as server.url:
        yield server
    server.close()


@pytest.fixture(scope="session")
def boto() -> boto3.Session:
    """Its models are read once."""
    return boto3.Session(region_name="us-east-1")


@pytest.fixture
def aws(server: Server, boto: boto3.Session) -> Callable[..., Any]:
    """aws("iam") -> a client with the root's key; `key` and `token` replace it."""
    root = root_key.load(server.settings)

    def client(
        service: str, key: tuple[str, str] = (root.access_key, root.secret_key), token: str | None = None
    ) -> Any:
        return boto.client(
            service,
            endpoint_url=server.url,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


def credentials(answer: Any) -> SimpleNamespace:
    """The Credentials of an STS answer, as arguments of `aws`."""
    given = answer["Credentials"]
    return SimpleNamespace(
        key=(given["AccessKeyId"], given["SecretAccessKey"]), token=given["SessionToken"], until=given["Expiration"]
    )
