"""Whom policies name is pinned when they are stored; what an earlier release stored by name, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from api.iam.served import Server
from clary.services.iam import principals, roles, users
from clary.services.iam.pinning import pin_earlier
from clary.services.s3 import bucket_settings, index
from clary.store import records
from clary.store.records import Record

ANN, NOBODY = "arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/nobody"


def policy(*names: str) -> str:
    return json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": list(names)}, "Action": "*"}})


def test_it_is_pinned_once(server: Server, aws: Callable[..., Any]) -> None:
    iam, stores = aws("iam"), server.platform.stores
    ann = users.new_user("123456789012", {"UserName": "ann"}, 0.0)
    role = roles.new_role("123456789012", {"RoleName": "r", "AssumeRolePolicyDocument": policy(ANN, NOBODY)}, 0.0)
    grant = Record("kms-grant", "123456789012", "us-east-1", "g", "g", "", 0.0, 0.0, {"GranteePrincipal": ANN})

    def earlier(connection: Connection) -> None:
        for each in (ann, role, grant):
            records.insert(connection, each)

    def bucket(connection: Connection) -> index.Bucket:
        found = index.find_bucket(connection, "b")
        assert found is not None
        return found

    stores.records.write(earlier)
    stores.objects.write(lambda connection: index.add_bucket(connection, index.Bucket("b", "1", "us-east-1", 0.0)))
    stores.objects.write(
        lambda connection: bucket_settings.enter(connection, bucket(connection), "Policy", policy(ANN))
    )
    pin_earlier(stores.records, stores.objects)

    def stored() -> list[Any]:
        text = stores.objects.read(lambda connection: bucket_settings.find(connection, bucket(connection), "Policy"))
        trust = stores.records.read(lambda connection: records.by_arn(connection, role.arn))
        given = stores.records.read(lambda connection: records.by_arn(connection, "g"))
        assert trust is not None and given is not None
        named = [
            json.loads(each)["Statement"]["Principal"]["AWS"]
            for each in (text, trust.document["AssumeRolePolicyDocument"])
        ]
        return [*named, given.document["GranteePrincipal"]]

    user_id = ann.document["UserId"]
    assert stored() == [[user_id], [user_id, NOBODY], user_id]
    told = iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]
    assert told["Statement"]["Principal"]["AWS"] == [ANN, NOBODY]
    iam.create_user(UserName="nobody")
    pin_earlier(stores.records, stores.objects)
    assert stored()[1] == [user_id, NOBODY], "once and not again"


def test_many_are_looked_up_together(server: Server, aws: Callable[..., Any]) -> None:
    """However many a policy names: a few queries, which see all of them, and both ways."""
    made = [users.new_user("123456789012", {"UserName": f"u{n}"}, 0.0) for n in range(600)]
    role = roles.new_role("123456789012", {"RoleName": "r", "AssumeRolePolicyDocument": policy(ANN)}, 0.0)
    stores, asked = server.platform.stores, [0]
    sessions = [f"arn:aws:sts::123456789012:assumed-role/r/s{n}" for n in range(30)]
    names = [*(each.arn for each in made), role.arn, *sessions]

    def earlier(connection: Connection) -> None:
        for each in (*made, role):
            records.insert(connection, each)

    def work(connection: Connection) -> tuple[str, str]:
        def count(*_: Any) -> None:
            asked[0] += 1

        sa.event.listen(connection, "before_cursor_execute", count)
        try:
            pinned = principals.pin(connection, policy(*names))
            assert principals.pin(connection, pinned) == pinned
            return pinned, principals.show(connection, pinned)
        finally:
            sa.event.remove(connection, "before_cursor_execute", count)

    stores.records.write(earlier)
    pinned, shown = stores.records.read(work)
    role_id = role.document["RoleId"]
    ids = [*(each.document["UserId"] for each in made), role_id, *(f"{role_id}:s{n}" for n in range(30))]
    assert json.loads(pinned)["Statement"]["Principal"]["AWS"] == ids
    assert json.loads(shown)["Statement"]["Principal"]["AWS"] == names
    assert 0 < asked[0] < 12


def test_others_write_while_names_are_looked_up(
    server: Server, aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy may name hundreds: that is done before the transaction."""
    iam, pin, pinned = aws("iam"), principals.pin, []

    def watched(connection: Connection, text: str) -> str:
        server.platform.stores.records.write(lambda _: pinned.append(text))  # would wait for a transaction of its own
        return pin(connection, text)

    iam.create_user(UserName="ann")
    monkeypatch.setattr(principals, "pin", watched)
    document = policy(ANN).replace('"*"', '"sts:AssumeRole"')
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=document)
    assert pinned == [document] * 2
