"""Sessions: temporary keys, kept as records so that they outlive a restart of the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.principals import Credential, Principal
from clary.clock import Clock
from clary.contract.instance import Credentials
from clary.errors import ServiceError
from clary.services.iam import errors, shapes
from clary.services.iam.identifiers import access_key, secret_key, session_token
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Record
from clary.store.schema import records as table

SESSION = "sts-session"
_KEPT_SECONDS = 7 * 86_400.0  # an expired session stays this long, to be called expired and not unknown


def open_session(database: Database, role_arn: str, session_name: str, seconds: float, clock: Clock) -> Credentials:
    """A session of a role for `seconds`. Raises ServiceError (NoSuchEntity) when there is no such role."""

    def work(connection: Connection) -> Credentials:
        role = records.by_arn(connection, role_arn)
        if role is None or role.kind != shapes.ROLE:
            raise errors.no_role(role_arn.rpartition("/")[2])
        return write_session(connection, role_principal(role, session_name), role, clock.now(), seconds)

    return database.write(work)


def role_principal(role: Record, session_name: str) -> Principal:
    """Who a session of `role` is."""
    arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session_name}"
    user_id = f"{role.document['RoleId']}:{session_name}"
    path_and_name = role.arn.partition(":role/")[2]
    return Principal("role-session", role.account, arn, user_id, "", path_and_name)


def write_session(
    connection: Connection,
    principal: Principal,
    owner: Record | None,
    now: float,
    seconds: float,
    recorded: Mapping[str, Any] | None = None,
) -> Credentials:
    """Stores a session of `principal`; `recorded` is what else the request said of it. The session ends when its
    `owner` (the role or user; None for the account root) is deleted."""
    made = Credentials(access_key("ASIA"), secret_key(), session_token(), float(int(now + seconds)))
    document = {
        "SecretAccessKey": made.secret_key,
        "SessionToken": made.session_token,
        "Expiration": made.expires,
        "Kind": principal.kind,
        "Arn": principal.arn,
        "UserId": principal.user_id,
        "Role": principal.role,
        "OwnerId": _owner_id(owner),
        "Recorded": dict(recorded or {}),
    }
    parent = owner.arn if owner is not None else None
    record = Record(
        SESSION,
        principal.account,
        shapes.REGION,
        _arn(made.access_key),
        made.access_key,
        "",
        now,
        now,
        document,
        parent,
    )
    records.insert(connection, record)
    _sweep(connection, principal.account, now)
    return made


def find_session(connection: Connection, key: str) -> Credential | None:
    """The session's credential, expired ones too; None when there is none or its owner is gone."""
    record = records.by_arn(connection, _arn(key))
    if record is None:
        return None
    given = record.document
    if record.parent is not None:
        owner = records.by_arn(connection, record.parent)
        if owner is None or _owner_id(owner) != given["OwnerId"]:
            return None
    principal = Principal(given["Kind"], record.account, given["Arn"], given["UserId"], key, given["Role"])
    return Credential(key, given["SecretAccessKey"], principal, given["SessionToken"], given["Expiration"])


def account_of(connection: Connection, key: str) -> str:
    """The account that a session's key belongs to. Raises ServiceError (ValidationError)."""
    record = records.by_arn(connection, _arn(key))
    if record is None:
        raise ServiceError("ValidationError", f"The access key {key} is not known.", 400)
    return record.account


def _owner_id(owner: Record | None) -> str:
    """A role or user made again under an old name has another id."""
    if owner is None:
        return ""
    return str(owner.document.get("RoleId") or owner.document["UserId"])


def _arn(key: str) -> str:
    return f"arn:aws:sts:::session/{key}"


def _sweep(connection: Connection, account: str, now: float) -> None:
    # The longest session lasts 36 hours, so what was made this long ago has been expired for days.
    connection.execute(
        table.delete().where(
            table.c.account == account,
            table.c.region == shapes.REGION,
            table.c.kind == SESSION,
            table.c.created < now - _KEPT_SECONDS,
        )
    )
