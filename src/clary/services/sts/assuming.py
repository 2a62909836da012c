"""AssumeRole: a session of a role, for somebody whom the role trusts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy.engine import Connection

from clary.contract.instance import Credentials
from clary.services.iam import errors, shapes
from clary.services.operation import Call, Document, Operations
from clary.services.sts import sessions, terms
from clary.services.sts.terms import Keys
from clary.store import records
from clary.store.records import Record

operations = Operations()

_CHAINED_SECONDS = 3600
_NOT_BUILT = ("SerialNumber", "TokenCode", "ProvidedContexts", "MinimumSessionTokenSize")
_ROLE = re.compile(r"arn:aws:iam::[0-9]{12}:role/.+", re.ASCII)


class _Assumed(NamedTuple):
    made: Credentials
    arn: str
    user_id: str
    source_identity: str


@operations.handles("AssumeRole")
def assume_role(call: Call, given: Document) -> Document:
    for member in _NOT_BUILT:
        if given.get(member):
            raise errors.not_built("AssumeRole", member)
    arn = given["RoleArn"]
    if not _ROLE.fullmatch(arn):
        raise errors.invalid(f"{arn} is invalid")
    share = terms.packed(given)
    database = call.platform.stores.records
    caller = database.read(lambda connection: sessions.find(connection, call.principal.access_key))
    _authorise(call, given, caller)

    def work(connection: Connection) -> _Assumed:
        role = records.by_arn(connection, arn)
        if role is None or role.kind != shapes.ROLE:  # it went since it let the caller in
            raise _denied(call, "sts:AssumeRole", arn)
        seconds = given.get("DurationSeconds", 3600)
        _check_duration(call, role, seconds)
        agreed = terms.of_request(connection, given, role.account, caller)
        principal = sessions.role_principal(role, given["RoleSessionName"])
        secrets, now = call.platform.secrets, call.platform.clock.now()
        made = sessions.write_session(connection, secrets, principal, role, now, seconds, agreed)
        return _Assumed(made, principal.arn, principal.user_id, terms.source_identity(agreed.context))

    return _answer(database.write(work), share)


def _answer(assumed: _Assumed, share: int) -> Document:
    user = {"AssumedRoleId": assumed.user_id, "Arn": assumed.arn}
    answer: Document = {"Credentials": terms.shown(assumed.made), "AssumedRoleUser": user}
    if share:
        answer["PackedPolicySize"] = share
    if assumed.source_identity:
        answer["SourceIdentity"] = assumed.source_identity
    return answer


def _authorise(call: Call, given: Document, caller: Record | None) -> None:
    """Raises AccessDenied: in the same words whether the role does not trust the caller or is not there."""
    role = call.platform.stores.records.read(lambda connection: records.by_arn(connection, given["RoleArn"]))
    tags = role.document["Tags"] if role is not None and role.kind == shapes.ROLE else ()
    keys = terms.request_keys(given, caller)
    keys |= {f"aws:resourcetag/{tag['Key'].lower()}": (tag["Value"],) for tag in tags}
    keys |= {f"iam:resourcetag/{tag['Key'].lower()}": (tag["Value"],) for tag in tags}
    for action in _asked(keys):
        if not call.caller.decide(action, given["RoleArn"], keys).allowed:
            raise _denied(call, action, given["RoleArn"])


def _asked(keys: Keys) -> Iterator[str]:
    yield "sts:AssumeRole"
    if "aws:tagkeys" in keys:
        yield "sts:TagSession"
    if "sts:sourceidentity" in keys:
        yield "sts:SetSourceIdentity"


def _denied(call: Call, action: str, arn: str) -> Exception:
    return errors.denied(f"User: {call.principal.arn} is not authorized to perform: {action} on resource: {arn}")


def _check_duration(call: Call, role: Record, seconds: int) -> None:
    if call.principal.kind == "role-session" and seconds > _CHAINED_SECONDS:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise errors.invalid(message)
    check_longest(role, seconds)


def check_longest(role: Record, seconds: int) -> None:
    """Raises ValidationError when a session of that role may not last as long."""
    if seconds > role.document["MaxSessionDuration"]:
        raise errors.invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
