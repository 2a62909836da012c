"""The users, roles and sessions that stored policies and grants name: by their unique ids.

A principal is the one that was meant, not whoever has his name later. So what is stored names him by the id that nobody
else ever has (AIDA of a user, AROA of a role, AROA…:NAME of a role's session), and nothing has to be written when he is
renamed or deleted. What is shown has his name as it is now; of one who is gone it has the id. Accounts, services and
identity providers are named by what never changes, and stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.iam import shapes
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
_MOST = 500  # names in one query
_USER_ID, _ROLE_ID = (table.c.document[name].as_string() for name in ("UserId", "RoleId"))

_OF = sa.select(table.c.kind, table.c.arn, sa.func.coalesce(_ROLE_ID, _USER_ID))


class UnknownPrincipal(Exception):
    """There is nobody of that name. `kind` is AWS, Service, Federated or CanonicalUser."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name}")
        self.kind = kind
        self.name = name


def pin(connection: Connection, text: str) -> str:
    """A policy that was read (`clary.auth.policy.parse`), as it is to be stored. Raises UnknownPrincipal."""
    known = _looked_up(connection, _named(text))
    return _mapped(text, lambda kind, name: _pinned(known, kind, name))


def pin_known(connection: Connection, text: str) -> str:
    """As `pin`, of a policy that is stored already: whom nobody knows keeps his name."""
    known = _looked_up(connection, _named(text))
    return _mapped(text, lambda kind, name: known.get(name, name) if kind == "AWS" else name)


def pin_name(connection: Connection, name: str) -> str:
    """One name of kind AWS, as it is to be stored: `name` itself when there is nobody of that name."""
    return _looked_up(connection, (name,)).get(name, name)


def show(connection: Connection, text: str) -> str:
    """A stored policy, as it is to be told."""
    return told(text, known(connection, (text,)))


def known(connection: Connection, texts: Iterable[str]) -> dict[str, str]:
    """The ARNs, as they are now, of whom stored policies name: for `told` about any of them."""
    return arns(connection, {name for text in texts for name in _IDS.findall(text)})


def told(text: str, known: Mapping[str, str]) -> str:
    """As `show`."""
    return _mapped(text, lambda _, name: known.get(name, name)) if known and _IDS.search(text) else text


def arns(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """The ARNs, as they are now, of the unique ids among `names`; those that are nobody's are left out."""
    asked = {name: found for name in names if (found := _ID.fullmatch(name))}
    if not asked:
        return {}
    ids = sorted({found[1] for found in asked.values()})
    known = {row[0]: row for some in _batches(ids) for row in connection.execute(_with_ids(some))}
    return {name: _arn(known[found[1]], found[2]) for name, found in asked.items() if found[1] in known}


def _with_ids(ids: Sequence[str]) -> sa.CompoundSelect[Any]:
    wanted = (
        sa.select(column, table.c.arn, table.c.account, table.c.name).where(table.c.kind == kind, column.in_(ids))
        for kind, column in ((shapes.USER, _USER_ID), (shapes.ROLE, _ROLE_ID))
    )
    return sa.union_all(*wanted)


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many as one query may name."""
    return (values[start : start + _MOST] for start in range(0, len(values), _MOST))


def _arn(row: Sequence[str], session: str | None) -> str:
    """`row`: id, ARN, account and name of a user or role; `session`: ":NAME" of a session of it."""
    return row[1] if session is None else f"arn:aws:sts::{row[2]}:assumed-role/{row[3]}/{session[1:]}"


def _pinned(known: Mapping[str, str], kind: str, name: str) -> str:
    if _FIXED[kind].fullmatch(name):
        return name
    found = known.get(name) if kind == "AWS" else None
    if found is None:
        raise UnknownPrincipal(kind, name)
    return found


def _looked_up(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """The unique ids of whom `names` (ARNs, or ids) mean; nobody's are left out. A few queries for all."""
    asked = set(names)
    entities = {name: found[1] for name in asked if (found := _ENTITY.fullmatch(name))}
    sessions = {name: found for name in asked if (found := _SESSION.fullmatch(name))}
    ids = {name: name for name in arns(connection, asked)}
    for some in _batches(sorted(entities)):
        rows = connection.execute(_OF.where(table.c.arn.in_(some)))
        ids |= {arn: unique for kind, arn, unique in rows if kind == _KINDS[entities[arn]]}
    roles = _ids_of_roles(connection, sorted({(found[1], found[2]) for found in sessions.values()}))
    for name, found in sessions.items():
        if (found[1], found[2]) in roles:
            ids[name] = f"{roles[found[1], found[2]]}:{found[3][1:]}"
    return ids


def _ids_of_roles(connection: Connection, roles: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """By account and name."""
    found: dict[tuple[str, str], str] = {}
    accounts = sorted({account for account, _ in roles})
    for account in accounts:
        names = [name for owner, name in roles if owner == account]
        mine = (table.c.kind == shapes.ROLE, table.c.account == account, table.c.region == shapes.REGION)
        for some in _batches(names):
            rows = connection.execute(sa.select(table.c.name, _ROLE_ID).where(*mine, table.c.name.in_(some)))
            found.update({(account, name): unique for name, unique in rows})
    return found


def _named(text: str) -> set[str]:
    """Whom the principals of kind AWS in a policy are."""
    names: set[str] = set()

    def note(kind: str, name: str) -> str:
        if kind == "AWS" and not _FIXED[kind].fullmatch(name):
            names.add(name)
        return name

    _mapped(text, note)
    return names


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
