"""Sessions of users and of the root: GetSessionToken and GetFederationToken."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.contract.instance import Credentials
from clary.services.iam import errors
from clary.services.operation import Call, Document, Operations
from clary.services.sts import sessions, terms
from clary.store import records
from clary.store.records import Record

operations = Operations()

_ROOTS_SECONDS = 3600  # AWS shortens the root's sessions to this, without an error


@operations.handles("GetSessionToken")
def get_session_token(call: Call, given: Document) -> Document:
    for member in ("SerialNumber", "TokenCode", "MinimumSessionTokenSize"):
        if given.get(member):
            raise errors.not_built("GetSessionToken", member)
    _check_caller(call, "GetSessionToken")

    def work(connection: Connection) -> Credentials:
        principal, secrets = replace(call.principal, access_key=""), call.platform.secrets
        owner, now = _owner(connection, call), call.platform.clock.now()
        return sessions.write_session(connection, secrets, principal, owner, now, _seconds(call, given))

    return {"Credentials": terms.shown(call.platform.stores.records.write(work))}


@operations.handles("GetFederationToken")
def get_federation_token(call: Call, given: Document) -> Document:
    _check_caller(call, "GetFederationToken")
    account, name, share = call.account, given["Name"], terms.packed(given)
    principal = Principal(
        "federated-user", account, f"arn:aws:sts::{account}:federated-user/{name}", f"{account}:{name}"
    )

    def work(connection: Connection) -> Credentials:
        agreed = terms.of_request(connection, given, account)
        owner, now = _owner(connection, call), call.platform.clock.now()
        seconds, secrets = _seconds(call, given), call.platform.secrets
        return sessions.write_session(connection, secrets, principal, owner, now, seconds, agreed)

    made = call.platform.stores.records.write(work)
    user = {"FederatedUserId": principal.user_id, "Arn": principal.arn}
    return {"Credentials": terms.shown(made), "FederatedUser": user, "PackedPolicySize": share}


def _check_caller(call: Call, operation: str) -> None:
    if call.principal.kind not in ("root", "user") or call.principal.access_key.startswith("ASIA"):
        raise errors.denied(f"Cannot call {operation} with session credentials")


def _seconds(call: Call, given: Document) -> int:
    seconds: int = given.get("DurationSeconds", 43_200)
    return min(seconds, _ROOTS_SECONDS) if call.principal.kind == "root" else seconds


def _owner(connection: Connection, call: Call) -> Record | None:
    return records.by_arn(connection, call.principal.arn) if call.principal.kind == "user" else None
