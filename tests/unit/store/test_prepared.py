"""Prepared statements do what SQLAlchemy's own do: values, transactions, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.store.engine import Database
from clary.store.prepared import Numbered, Prepared, Unless
from databases import open_database

TABLES = sa.MetaData(info={"component": "prepared"})
things = sa.Table(
    "things",
    TABLES,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("name", sa.String, unique=True),
    sa.Column("data", sa.LargeBinary),
    sa.Column("time", sa.Float),
    sa.Column("document", sa.JSON),
)
_VALUES = {f"{name}": sa.bindparam(f"new_{name}") for name in ("name", "data", "time", "document")}
ENTER = Numbered(things.insert().values(_VALUES), things.c.id)
FIND = Prepared(sa.select(things).where(things.c.name == sa.bindparam("this_name"), things.c.time > 0))
UNLESS = Unless(things)
REMOVE = Prepared(things.delete().where(things.c.name == sa.bindparam("this_name")))


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory, database_urls: Callable[[], str]) -> Iterator[Database]:
    opened = open_database(database_urls(), tmp_path_factory.mktemp("home"), TABLES)
    yield opened
    opened.close()


def enter(name: str) -> Callable[[Connection], int]:
    given = {"new_name": name, "new_data": b"\0\xff", "new_time": 1.5, "new_document": {"a": ["é", None]}}
    return lambda connection: ENTER.insert(connection, given)


def find(name: str) -> Callable[[Connection], tuple[object, ...] | None]:
    return lambda connection: FIND.first(connection, {"this_name": name})


def test_values_come_back_as_the_columns_have_them(database: Database) -> None:
    number = database.write(enter("one"))
    assert database.read(find("one")) == (number, "one", b"\0\xff", 1.5, {"a": ["é", None]})
    assert database.read(lambda connection: FIND.rows(connection, {"this_name": "two"})) == []
    assert database.write(enter("two")) > number


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        enter("gone")(connection)
        raise LookupError

    with pytest.raises(LookupError):
        database.write(work)
    assert database.read(find("gone")) is None


def test_a_read_sees_one_state(database: Database) -> None:
    database.write(enter("before"))

    def work(connection: Connection) -> None:
        assert find("before")(connection) is not None
        database.write(lambda other: REMOVE.run(other, {"this_name": "before"}))
        assert find("before")(connection) is not None

    database.read(work)
    assert database.read(find("before")) is None


def test_errors_are_those_of_sqlalchemy(database: Database) -> None:
    database.write(enter("twice"))
    with pytest.raises(sa.exc.IntegrityError):
        database.write(enter("twice"))


def test_a_parameter_that_is_missing_is_an_error(database: Database) -> None:
    with pytest.raises(KeyError):
        database.read(lambda connection: FIND.first(connection, {}))


def test_what_is_taken_is_not_entered_and_its_transaction_goes_on(database: Database) -> None:
    database.write(enter("one"))
    values = {"id": 99, "data": b"", "time": 2.0, "document": None}

    def work(connection: Connection) -> tuple[int, int]:
        return UNLESS.run(connection, {**values, "name": "one"}), UNLESS.run(connection, {**values, "name": "two"})

    assert database.write(work) == (0, 1)
    kept, new = database.read(find("one")), database.read(find("two"))
    assert kept is not None and kept[3] == 1.5
    assert new is not None and new[0] == 99
