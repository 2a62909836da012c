"""An older home's records, brought to today's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from clary.store import records
from clary.store.engine import Database
from clary.store.migrations import identities
from clary.store.records import Record
from clary.store.schema import RECORDS
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
