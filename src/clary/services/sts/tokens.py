"""AssumeRole and GetSessionToken."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.engine import Connection

from clary.contract.instance import Credentials
from clary.services.iam import errors, shapes
from clary.services.operation import Call, Document, Operations
from clary.services.sts import sessions, terms
from clary.store import records
from clary.store.records import Record

operations = Operations()

_CHAINED_SECONDS = 3600
_NOT_BUILT = ("SerialNumber", "TokenCode", "ProvidedContexts", "MinimumSessionTokenSize")


@operations.handles("AssumeRole")
def assume_role(call: Call, given: Document) -> Document:
    """Any identity of the role's own account may assume it: trust policies are stored, and evaluated later."""
    for member in _NOT_BUILT:
        if given.get(member):
            raise errors.not_built("AssumeRole", member)
    share, seconds = terms.packed(given), given.get("DurationSeconds", 3600)

    def work(connection: Connection) -> tuple[Credentials, str, str, str]:
        role = _assumable(call, connection, given["RoleArn"])
        _check_duration(call, role, seconds)
        caller = sessions.find(connection, call.principal.access_key)
        agreed = terms.of_request(connection, given, role.account, caller, {})
        principal = sessions.role_principal(role, given["RoleSessionName"])
        secrets, now = call.platform.secrets, call.platform.clock.now()
        made = sessions.write_session(connection, secrets, principal, role, now, seconds, agreed)
        identity = given.get("SourceIdentity") or terms.source_identity(caller)
        return made, principal.arn, principal.user_id, identity

    made, arn, user_id, identity = call.platform.stores.records.write(work)
    answer: Document = {"Credentials": _shown(made), "AssumedRoleUser": {"AssumedRoleId": user_id, "Arn": arn}}
    if share:
        answer["PackedPolicySize"] = share
    if identity:
        answer["SourceIdentity"] = identity
    return answer


def _assumable(call: Call, connection: Connection, arn: str) -> Record:
    role = records.by_arn(connection, arn)
    if role is None or role.kind != shapes.ROLE or role.account != call.principal.account:
        # The same words for a role that is not there: nothing leaks to whoever may not see it.
        raise errors.denied(
            f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        )
    return role


def _check_duration(call: Call, role: Record, seconds: int) -> None:
    if call.principal.kind == "role-session" and seconds > _CHAINED_SECONDS:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise errors.invalid(message)
    if seconds > role.document["MaxSessionDuration"]:
        raise errors.invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


@operations.handles("GetSessionToken")
def get_session_token(call: Call, given: Document) -> Document:
    caller, now = call.principal, call.platform.clock.now()
    for member in ("SerialNumber", "TokenCode", "MinimumSessionTokenSize"):
        if given.get(member):
            raise errors.not_built("GetSessionToken", member)
    if caller.kind not in ("root", "user") or caller.access_key.startswith("ASIA"):
        raise errors.denied("Cannot call GetSessionToken with session credentials")
    seconds = given.get("DurationSeconds", 43_200)
    if caller.kind == "root":
        seconds = min(seconds, _CHAINED_SECONDS)  # as AWS does, without an error

    def work(connection: Connection) -> Credentials:
        owner = records.by_arn(connection, caller.arn) if caller.kind == "user" else None
        principal = replace(caller, access_key="")
        return sessions.write_session(connection, call.platform.secrets, principal, owner, now, seconds)

    return {"Credentials": _shown(call.platform.stores.records.write(work))}


def _shown(made: Credentials) -> Document:
    return {
        "AccessKeyId": made.access_key,
        "SecretAccessKey": made.secret_key,
        "SessionToken": made.session_token,
        "Expiration": shapes.when(made.expires),
    }
