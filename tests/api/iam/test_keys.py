"""How soon a change of a key is known, and what becomes of secrets that an earlier release kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from clary.config import Settings
from clary.contract.instance import Credentials
from clary.secrets import RootKey
from clary.services.iam import first_start, generation, sealing
from clary.services.iam.access_keys import key_arn
from clary.services.iam.keys import FRESH_SECONDS, RecordKeyring
from clary.services.iam.users import new_user
from clary.services.sts.sessions import open_session
from clary.store import records, schema
from clary.store.engine import Database
from clary.store.records import Record
from clary.store.watched import WatchedDatabase
from clary.testing.frozen_clock import FrozenClock
from databases import open_database

ACCOUNT = "123456789012"
KEY = "AKIAEXAMPLEEXAMPLE00"


class World:
    """A keyring that is told of what this server writes (`database`), and not of what another does (`other`)."""

    def __init__(self, settings: Settings, other: Database) -> None:
        self.settings, self.other, self.clock = settings, other, FrozenClock()
        self.secrets = RootKey.load(settings)
        self.keyring = RecordKeyring(other, settings, self.clock, self.secrets)
        self.database = WatchedDatabase(other, self.keyring.changed)

    def user(self, **secret: str) -> None:
        """One user with one key, whose document holds `secret`."""

        def work(connection: Connection) -> None:
            user = new_user(ACCOUNT, {"UserName": "u"}, 0.0)
            records.insert(connection, user)
            document = {"AccessKeyId": KEY, "UserName": "u", "CreateDate": 0.0, **secret}
            where = (ACCOUNT, "", key_arn(KEY), KEY, "Active")
            records.insert(connection, Record("iam-access-key", *where, 0.0, 0.0, document, user.arn))

        generation.change(self.database, work)

    def delete_key(self, database: Database) -> None:
        def work(connection: Connection) -> None:
            record = records.by_arn(connection, key_arn(KEY))
            assert record is not None
            records.delete(connection, record)

        generation.change(database, work)


@pytest.fixture
def world(tmp_path: Path, database_urls: Callable[[], str]) -> Iterator[World]:
    settings = Settings(home=tmp_path, database_url=database_urls())
    settings.data.mkdir()
    database = open_database(settings.database_url, settings.data, schema.RECORDS)
    yield World(settings, database)
    database.close()


def test_this_servers_changes_are_known_at_once(world: World) -> None:
    world.user(SealedSecret=sealing.seal(world.secrets, KEY, "secret"))
    assert world.keyring.find(KEY) is not None
    world.delete_key(world.database)
    assert world.keyring.find(KEY) is None


def test_another_servers_changes_are_known_within_a_second(world: World) -> None:
    world.user(SealedSecret=sealing.seal(world.secrets, KEY, "secret"))
    assert world.keyring.find(KEY) is not None
    world.delete_key(world.other)
    assert world.keyring.find(KEY) is not None
    assert world.keyring.look(KEY) is None
    world.clock.advance(FRESH_SECONDS)
    assert world.keyring.find(KEY) is None


def test_secrets_of_an_earlier_release_are_sealed(world: World) -> None:
    world.user(SecretAccessKey="secret")
    first_start.provision(world.database, world.settings, world.clock)
    made = open_session(
        *(world.database, world.secrets, first_start.default_role_arn(world.settings), "me", 900, world.clock)
    )
    world.database.write(lambda connection: unseal(connection, made))
    for _ in range(2):
        sealing.seal_earlier(world.database, world.secrets)
    key, session = world.keyring.find(KEY), world.keyring.find(made.access_key)
    assert key is not None and session is not None
    assert (key.secret_key, session.secret_key, session.session_token) == (
        "secret",
        made.secret_key,
        made.session_token,
    )
    kept = world.database.read(lambda connection: str(documents(connection, made)))
    assert "SecretAccessKey" not in kept and "SessionToken" not in kept


def documents(connection: Connection, made: Credentials) -> list[Record | None]:
    return [records.by_arn(connection, arn) for arn in (key_arn(KEY), f"arn:aws:sts:::session/{made.access_key}")]


def unseal(connection: Connection, made: Credentials) -> None:
    """The session's record as the first release kept it."""
    record = documents(connection, made)[1]
    assert record is not None
    document = {name: value for name, value in record.document.items() if not name.startswith("Sealed")}
    plain = {"SecretAccessKey": made.secret_key, "SessionToken": made.session_token}
    records.replace(connection, record, document={**document, **plain})
