"""S3 alone behind real sockets, with the real pipeline: the access key names the account.

Everything here runs over SQLite; PostgreSQL, and another Clary as the store of the objects' bytes, are for `make
test-all`. What tests are about files of blobs (`test_damage`, `test_files_*`) or kill or model a server (`test_crash`,
the machines) has them at home; `test_elsewhere` and `test_written_elsewhere` are the same for another store.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from api.port import port
from api.s3.kept import Kept
from clary.auth.gate import Gate
from clary.auth.principals import Credential, Principal
from clary.clock import SystemClock
from clary.config import Settings
from clary.context import Platform, Stores
from clary.objects.filesystem import FilesystemStore
from clary.objects.remote.place import Place
from clary.objects.remote.store import RemoteStore
from clary.secrets import RootKey
from clary.server.pipeline import Pipeline
from clary.services.access.authority import Authority
from clary.services.kms import OPERATIONS as KMS
from clary.services.operation import Operations
from clary.services.s3 import OPERATIONS
from clary.services.s3.cors import CrossOrigin
from clary.services.waiting import Waiting
from clary.store import schema
from clary.wire.messages import Request, Response
from clary.wire.models import Models
from clary.wire.router import Router
from databases import fresh_urls, open_database
from other_stores import other_store

MODELS = Models()  # of all servers: they are large
MAIN, ALT = "123456789012", "210987654321"


class TwoAccounts:
    """The access key ALT is another account's root, every other the first one's; AGENT and ALT-AGENT are as those that
    agents have."""

    def find(self, access_key: str) -> Credential:
        account, agent = ALT if access_key.startswith("ALT") else MAIN, access_key.endswith("AGENT")
        who = Principal("root", account, f"arn:aws:iam::{account}:root", account, agent=agent)
        return Credential(access_key, "secret", who)


class Storage(NamedTuple):
    """What a server keeps its data in: `urls` as `database_urls`, `place` another store for the objects' bytes."""

    urls: Callable[[], str]
    place: Place | None


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Callable[[], Place]]:
    """Another Clary: a function that gives a new place in it."""
    with other_store("clary") as there:
        yield lambda: dataclasses.replace(there, prefix=f"tests/{secrets.token_hex(4)}")


ELSEWHERE = pytest.param("elsewhere", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow), ELSEWHERE])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    """Runs a module's tests over each: SQLite and files in the home, PostgreSQL in place of SQLite, another store in
    place of the files."""
    if request.param == "postgres":
        with fresh_urls(request.getfixturevalue("postgres_server")) as urls:
            yield Storage(urls, None)
    else:
        place = request.getfixturevalue("elsewhere")() if request.param == "elsewhere" else None
        yield Storage(lambda: "", place)


def answering(platform: Platform, **others: Operations) -> Callable[[Request], Response]:
    """The real pipeline, of S3 and what other services are given."""
    gate, waiting = Gate(TwoAccounts(), platform.clock, platform.settings), Waiting({}, 0, platform.clock)
    router, origins = Router(MODELS), CrossOrigin(platform)
    authority = Authority(platform.stores.records, platform.stores.objects, platform.clock)
    pipeline = Pipeline(platform, router, gate, {"s3": OPERATIONS, **others}, {"s3": ""}, waiting, origins, authority)

    def answer(request: Request) -> Response:
        answer = pipeline(request)
        assert isinstance(answer, Response)  # nothing here is waited for
        return answer

    return answer


def build(home: Path, database_url: str = "", place: Place | None = None) -> Platform:
    """Only what S3 uses; the bytes are in the home, or in a `place` of another store."""
    records, index = (open_database(database_url, home, each) for each in (schema.RECORDS, schema.OBJECTS))
    stores = Stores(records, index, cast(Any, None))
    objects = RemoteStore(place) if place else FilesystemStore(home / "objects")
    settings = Settings.load({}, home=home)
    nothing = cast(Any, None)
    return Platform(settings, SystemClock(), stores, objects, nothing, nothing, lambda: None, RootKey.load(settings))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, storage: Storage) -> Iterator[SimpleNamespace]:
    with serving(tmp_path_factory.mktemp("home"), storage) as made:
        yield made


@contextmanager
def serving(home: Path, storage: Storage, **others: Operations) -> Iterator[SimpleNamespace]:
    """S3, and the operations of other services beside it."""
    platform = build(home, storage.urls(), storage.place)
    with port(answering(platform, **others)) as url:
        yield SimpleNamespace(url=url, platform=platform, place=storage.place)
    platform.objects.close()
    platform.stores.objects.close()
    platform.stores.records.close()


def serving_with_kms(home: Path, storage: Storage) -> AbstractContextManager[SimpleNamespace]:
    """As `server`, with KMS beside S3."""
    return serving(home, storage, kms=KMS)


@pytest.fixture
def kept(server: SimpleNamespace) -> Kept:
    return Kept(server)


Aws = Callable[..., Any]


@pytest.fixture
def aws(server: SimpleNamespace) -> Aws:
    def client(service: str, region: str = "us-east-1", key: str = "MAIN", kind: str = "client", **config: Any) -> Any:
        settings = Config(retries={"max_attempts": 1}, **({} if key else {"signature_version": UNSIGNED}), **config)
        make = boto3.client if kind == "client" else boto3.resource
        return make(
            service,
            region_name=region,
            endpoint_url=server.url,
            aws_access_key_id=key or None,
            aws_secret_access_key="secret" if key else None,
            config=settings,
        )

    return client


@pytest.fixture
def s3(aws: Aws) -> Any:
    return aws("s3")


@pytest.fixture
def kms(aws: Aws) -> Any:
    return aws("kms")


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = f"b{abs(hash(request.node.nodeid)):x}"  # a name of its own for every test
    s3.create_bucket(Bucket=name)
    return name
