"""The users, roles and sessions that stored policies and grants name: by their unique ids.

A principal is the one that was meant, not whoever has his name later. So what is stored names him by the id that nobody
else ever has (AIDA of a user, AROA of a role, AROA…:NAME of a role's session), and nothing has to be written when he is
renamed or deleted. What is shown has his name as it is now; of one who is gone it has the id. Accounts, services and
identity providers are named by what never changes, and stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.iam import shapes
from clary.store import records
from clary.store.schema import records as table

_ID = re.compile(r"((?:AIDA|AROA)[A-Z2-7]{17})(:[\w+=,.@-]{2,64})?", re.ASCII)
_IDS = re.compile(r'"((?:AIDA|AROA)[A-Z2-7]{17}(?::[^"]*)?)"', re.ASCII)  # in JSON
_ENTITY = re.compile(r"arn:aws:iam::\d{12}:(user|role)/.+", re.ASCII)
_SESSION = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([\w+=,.@-]+)(/[\w+=,.@-]{2,64})", re.ASCII)
_KINDS = {"user": shapes.USER, "role": shapes.ROLE}
# What is its own unique name.
_FIXED = {
    "AWS": re.compile(
        r"\*|\d{12}|arn:aws[a-z-]*:iam::\d{12}:root|arn:aws:sts::\d{12}:federated-user/[\w+=,.@-]{2,32}", re.ASCII
    ),
    "Service": re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws|amazon)\.com(\.cn)?", re.ASCII),
    "Federated": re.compile(r"arn:aws:iam::\d{12}:(saml|oidc)-provider/.+|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII),
    "CanonicalUser": re.compile(r"[0-9a-f]{64}", re.ASCII),
}
_USER_ID, _ROLE_ID = (table.c.document[name].as_string() for name in ("UserId", "RoleId"))


class UnknownPrincipal(Exception):
    """There is nobody of that name. `kind` is AWS, Service, Federated or CanonicalUser."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name}")
        self.kind = kind
        self.name = name


def pin(connection: Connection, text: str) -> str:
    """A policy that was read (`clary.auth.policy.parse`), as it is to be stored. Raises UnknownPrincipal."""
    return _mapped(text, lambda kind, name: _pinned(connection, kind, name))


def pin_known(connection: Connection, text: str) -> str:
    """As `pin`, of a policy that is stored already: whom nobody knows keeps his name."""
    return _mapped(text, lambda kind, name: pin_name(connection, name) if kind == "AWS" else name)


def pin_name(connection: Connection, name: str) -> str:
    """One name of kind AWS, as it is to be stored: `name` itself when there is nobody of that name."""
    return _look(connection, name) or name


def show(connection: Connection, text: str) -> str:
    """A stored policy, as it is to be told."""
    known = arns(connection, _IDS.findall(text))
    return text if not known else _mapped(text, lambda _, name: known.get(name, name))


def arns(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """The ARNs, as they are now, of the unique ids among `names`; those that are nobody's are left out."""
    asked = {name: found for name in names if (found := _ID.fullmatch(name))}
    if not asked:
        return {}
    ids = sorted({found[1] for found in asked.values()})
    wanted = (
        sa.select(column, table.c.arn, table.c.account, table.c.name).where(table.c.kind == kind, column.in_(ids))
        for kind, column in ((shapes.USER, _USER_ID), (shapes.ROLE, _ROLE_ID))
    )
    known = {row[0]: row for row in connection.execute(sa.union_all(*wanted))}
    return {name: _arn(known[found[1]], found[2]) for name, found in asked.items() if found[1] in known}


def _arn(row: Sequence[str], session: str | None) -> str:
    """`row`: id, ARN, account and name of a user or role; `session`: ":NAME" of a session of it."""
    return row[1] if session is None else f"arn:aws:sts::{row[2]}:assumed-role/{row[3]}/{session[1:]}"


def _pinned(connection: Connection, kind: str, name: str) -> str:
    if _FIXED[kind].fullmatch(name):
        return name
    found = _look(connection, name) if kind == "AWS" else None
    if found is None:
        raise UnknownPrincipal(kind, name)
    return found


def _look(connection: Connection, name: str) -> str | None:
    """The unique id of whom `name` (an ARN, or an id) means; None when there is nobody."""
    if entity := _ENTITY.fullmatch(name):
        record = records.by_arn(connection, name)
        return _id(record) if record is not None and record.kind == _KINDS[entity[1]] else None
    if session := _SESSION.fullmatch(name):
        record = records.find(connection, shapes.ROLE, session[1], shapes.REGION, session[2])
        return None if record is None else f"{_id(record)}:{session[3][1:]}"
    return name if name in arns(connection, (name,)) else None


def _id(record: records.Record) -> str:
    return str(record.document.get("RoleId") or record.document["UserId"])


def _mapped(text: str, renamed: Callable[[str, str], str]) -> str:
    """`text` itself when nobody's name changes."""
    policy, changed = json.loads(text), False
    statements = policy["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            for kind, given in named.items() if isinstance(named, dict) else ():
                new = [renamed(kind, each) for each in given] if isinstance(given, list) else renamed(kind, given)
                named[kind], changed = new, changed or new != given
    return json.dumps(policy) if changed else text
