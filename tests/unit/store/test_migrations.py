"""An older home's records, brought to today's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from clary.services.s3.index import Entry, find
from clary.services.sns import outbox
from clary.store import queues, records
from clary.store.engine import Database
from clary.store.migrations import deliveries, encryption, identities, restorations
from clary.store.migrations import queues as step
from clary.store.objects_schema import objects
from clary.store.records import Record
from clary.store.schema import OBJECTS, RECORDS
from databases import open_database


@pytest.fixture
def database(tmp_path: Any, database_urls: Callable[[], str]) -> Any:
    made = open_database(database_urls(), tmp_path, RECORDS)
    yield made
    made.close()


def test_users_and_sessions_of_version_2(database: Database) -> None:
    old = {
        "iam-user": {"UserName": "u"},
        "sts-session": {"Arn": "s", "Recorded": {}},
        "iam-role": {"RoleName": "r"},
    }

    def fill(connection: Connection) -> None:
        for kind, document in old.items():
            records.insert(connection, Record(kind, "1", "", f"arn:{kind}", kind, "", 0.0, 0.0, document))
        narrowed = {"Arn": "n", "Recorded": {"Policy": "{}"}}
        records.insert(connection, Record("sts-session", "1", "", "arn:narrowed", "n", "", 0.0, 0.0, narrowed))

    database.write(fill)
    database.write(identities.add)

    def documents(connection: Connection) -> dict[str, Any]:
        found = {arn: records.by_arn(connection, arn) for arn in (*(f"arn:{kind}" for kind in old), "arn:narrowed")}
        return {arn: record.document for arn, record in found.items() if record is not None}

    assert database.read(documents) == {
        "arn:iam-user": {"UserName": "u", "InlinePolicies": {}, "AttachedPolicies": [], "Groups": []},
        "arn:sts-session": {"Arn": "s", "Policies": [], "Tags": {}, "TransitiveTagKeys": [], "Context": {}},
        "arn:iam-role": {"RoleName": "r"},
    }


def test_jobs_that_wait_in_version_3_keep_their_places(database: Database) -> None:
    summary = '{"SecondaryStatus":"Pending"}'
    limits = {"free": {}, "long": {"MaxWaitTimeInSeconds": 90}, "short": {"MaxPendingTimeInSeconds": 30}}

    def fill(connection: Connection) -> None:
        for index in ("records_by_until", "records_by_kind"):
            connection.exec_driver_sql(f"DROP INDEX {index}")
        for created, (name, limit) in enumerate(limits.items()):
            job = Record("training-job", "1", "r", f"arn:{name}", name, "InProgress", created, 1.0, {})
            waits = dataclasses.replace(job, document={"StoppingCondition": limit}, summary=summary)
            records.insert(connection, waits)
        records.insert(connection, dataclasses.replace(job, arn="arn:runs", name="runs", summary="{}"))
        for column in ("queue", "until"):
            connection.exec_driver_sql(f"ALTER TABLE records DROP COLUMN {column}")

    database.write(fill)
    database.write(step.add)
    found = database.read(lambda connection: queues.members(connection, "training-job", ("InProgress",), "job-slot"))
    assert [(each.name, each.until) for each in found] == [("free", None), ("long", 91.0), ("short", 32.0)]


def test_messages_on_their_way_in_version_5_have_an_owner_and_a_host(database: Database) -> None:
    endpoints = {"http": "https://U:P@Hooks.example:8443/told", "email": "me@example.org", "gone": ""}

    def fill(connection: Connection) -> None:
        connection.exec_driver_sql("DROP INDEX sns_deliveries_by_due")
        for column in ("owner", "host"):
            connection.exec_driver_sql(f"ALTER TABLE sns_deliveries DROP COLUMN {column}")
        for protocol, endpoint in endpoints.items():
            arn = f"arn:aws:sns:r:111122223333:t:{protocol}"
            if endpoint:
                given = {"Protocol": protocol, "Endpoint": endpoint}
                records.insert(connection, Record("sns-subscription", "1", "r", arn, arn, "", 0.0, 0.0, given))
            statement = "INSERT INTO sns_deliveries (message, subscription, due, attempts) VALUES ('m', '{}', 0, 0)"
            connection.exec_driver_sql(statement.format(arn))

    database.write(fill)
    database.write(deliveries.add)
    found = database.read(lambda connection: outbox.due(connection, 1.0, (), outbox.Busy(), 9))
    assert [(each.owner, each.host) for each in found] == [
        ("111122223333", "hooks.example:8443"),
        ("111122223333", "mail"),
        ("", ""),
    ]


def test_objects_of_version_3_are_not_encrypted(tmp_path: Any, database_urls: Callable[[], str]) -> None:
    database = open_database(database_urls(), tmp_path, OBJECTS)
    here = {"bucket": "b", "key": b"k", "size": 0, "etag": "e", "modified": 0.0, "storage_class": "STANDARD"}
    described: dict[str, Any] = {name: {} for name in ("checksum", "headers", "metadata", "tags")}

    def fill(connection: Connection) -> None:
        connection.execute(objects.insert().values(**here, **described))
        for table in ("objects", "versions", "uploads"):
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN encryption")

    database.write(fill)
    database.write(encryption.add)
    assert database.read(lambda connection: find(connection, "b", b"k")) == Entry(**here)
    database.close()


def test_objects_of_version_4_are_not_restored(tmp_path: Any, database_urls: Callable[[], str]) -> None:
    database = open_database(database_urls(), tmp_path, OBJECTS)
    here = {"bucket": "b", "key": b"k", "size": 0, "etag": "e", "modified": 0.0, "storage_class": "GLACIER"}
    described: dict[str, Any] = {name: {} for name in ("checksum", "headers", "metadata", "tags")}

    def fill(connection: Connection) -> None:
        connection.execute(objects.insert().values(**here, **described))
        for table in ("objects", "versions"):
            connection.exec_driver_sql(f"DROP INDEX {table}_by_restored")
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN restored")

    database.write(fill)
    database.write(restorations.add)
    assert database.read(lambda connection: find(connection, "b", b"k")) == Entry(**here)
    database.close()
