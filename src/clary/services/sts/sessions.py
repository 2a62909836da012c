"""Sessions: temporary keys, kept as records so that they outlive a restart of the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.principals import Credential, Principal
from clary.clock import Clock
from clary.contract.instance import Credentials
from clary.errors import ServiceError
from clary.secrets import RootKey
from clary.services.iam import errors, sealing, shapes
from clary.services.iam.identifiers import access_key, secret_key, session_token
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Record
from clary.store.schema import records as table

SESSION = "sts-session"
_KEPT_SECONDS = 7 * 86_400.0  # an expired session stays this long, to be called expired and not unknown


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed on when a session began, beside who it is and how long it lasts.

    `policies` are session policies as (name or ARN, text): what they do not allow, the session may not do. `tags` are
    those of the session, of which `transitive` go on to the sessions that it opens. `context` are further condition
    keys (lower case) with their values.
    """

    policies: Sequence[tuple[str, str]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: Sequence[str] = ()
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


NO_TERMS = Terms()


def open_session(
    database: Database,
    secrets: RootKey,
    role_arn: str,
    session_name: str,
    seconds: float,
    clock: Clock,
    *,
    agent: bool = False,
) -> Credentials:
    """A session of a role for `seconds`; `agent`: of an instance's agent. Raises ServiceError (NoSuchEntity) when there
    is no such role."""

    def work(connection: Connection) -> Credentials:
        role = records.by_arn(connection, role_arn)
        if role is None or role.kind != shapes.ROLE:
            raise errors.no_role(role_arn.rpartition("/")[2])
        principal = replace(role_principal(role, session_name), agent=agent)
        return write_session(connection, secrets, principal, role, clock.now(), seconds)

    return database.write(work)


def role_principal(role: Record, session_name: str) -> Principal:
    """Who a session of `role` is."""
    arn = f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{session_name}"
    role_id, path_and_name = _owner_id(role), role.arn.partition(":role/")[2]
    return Principal("role-session", role.account, arn, f"{role_id}:{session_name}", "", path_and_name, role_id)


def write_session(
    connection: Connection,
    secrets: RootKey,
    principal: Principal,
    owner: Record | None,
    now: float,
    seconds: float,
    terms: Terms = NO_TERMS,
) -> Credentials:
    """Stores a session of `principal`. It ends when its `owner` (the role or user; None for the account root) is
    deleted."""
    made = Credentials(access_key("ASIA"), secret_key(), session_token(), float(int(now + seconds)))
    document = _document(principal, owner, made, terms) | _sealed(secrets, made)
    parent = owner.arn if owner is not None else None
    key, account = made.access_key, principal.account
    records.insert(connection, Record(SESSION, account, shapes.REGION, _arn(key), key, "", now, now, document, parent))
    _sweep(connection, account, now)
    return made


def _document(principal: Principal, owner: Record | None, made: Credentials, terms: Terms) -> dict[str, Any]:
    return {
        "Expiration": made.expires,
        "Kind": principal.kind,
        "Arn": principal.arn,
        "UserId": principal.user_id,
        "Role": principal.role,
        "OwnerId": _owner_id(owner),
        "Agent": principal.agent,
        "Policies": [{"Name": name, "Text": text} for name, text in terms.policies],
        "Tags": dict(terms.tags),
        "TransitiveTagKeys": list(terms.transitive),
        "Context": {key: list(values) for key, values in terms.context.items()},
    }


def _sealed(secrets: RootKey, made: Credentials) -> dict[str, Any]:
    key = made.access_key
    return {
        "SealedSecret": sealing.seal(secrets, key, made.secret_key),
        "SealedToken": sealing.seal(secrets, key, made.session_token),
    }


def find(connection: Connection, key: str) -> Record | None:
    """The session's record, of expired ones too. `document` has Policies (a list of Name and Text), Tags (a map),
    TransitiveTagKeys and Context; `parent` is the ARN of the role or user, `created` when it began."""
    return records.by_arn(connection, _arn(key))


def find_session(connection: Connection, secrets: RootKey, key: str) -> Credential | None:
    """The session's credential, expired ones too; None when there is none or its owner is gone."""
    record = find(connection, key)
    if record is None:
        return None
    given = record.document
    if record.parent is not None:
        owner = records.by_arn(connection, record.parent)
        if owner is None or _owner_id(owner) != given["OwnerId"]:
            return None
    who = (given["Kind"], record.account, given["Arn"], given["UserId"], key, given["Role"], given["OwnerId"])
    principal = Principal(*who, agent=given.get("Agent", False))
    secret, token = (sealing.open_sealed(secrets, key, given[name]) for name in ("SealedSecret", "SealedToken"))
    return Credential(key, secret, principal, token, given["Expiration"])


def account_of(connection: Connection, key: str) -> str:
    """The account that a session's key belongs to. Raises ServiceError (ValidationError)."""
    record = find(connection, key)
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
