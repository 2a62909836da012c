"""One page of a listing, read from the summaries of its records: the documents are not touched.

The database joins a page's summaries to one text, so that the page costs one row however long it is, and every order
and its filters are an index read from where the page begins: a page costs the same in a long list as in a short one.
What has to be searched through is said at `Listing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from clary.store.prepared import Prepared
from clary.store.schema import records

Sort = Literal["name", "created", "modified", "status"]
Position = tuple[Any, ...]

_SEPARATOR = ",\n"  # no JSON text on one line holds it
# Each is the tail of an index (schema.py) whose head are account, region and kind, and a record's place is unique.
_ORDER: dict[Sort, tuple[str, ...]] = {
    "name": ("name",),
    "created": ("created", "arn"),
    "modified": ("modified", "arn"),
    "status": ("status", "created", "arn"),
}
_BOUNDS = {
    "created_after": ("created", ">"),
    "created_before": ("created", "<"),
    "modified_after": ("modified", ">"),
    "modified_before": ("modified", "<"),
}
# No record was modified before it was created, so these bounds hold for what is sorted by, too.
_IMPLIED = (("created", "modified_before"), ("modified", "created_after"))
# Nor longer after it than the longest that any was, so these do with that time taken off or added.
_IMPLIED_WITHIN = {("created", "modified_after"): -1, ("modified", "created_before"): 1}
_ROUNDING = 1.0  # seconds; far more than the arithmetic of times can be off
_LIFETIME = records.c.modified - records.c.created


@dataclass(frozen=True, slots=True)
class Listing:
    """`after` is the position of the last record seen, `limit` the most records wanted. Bounds are exclusive.

    `status` has an index in the order of `created`. A bound on the one time in the order of the other passes over what
    was created or modified within the longest lifetime of a record of this kind (creation to last change) of the bound;
    any other filter on what is not sorted by, over all that it refuses within the index that is read.
    """

    kind: str
    account: str
    region: str
    sort: Sort = "created"
    descending: bool = False
    after: Position | None = None
    limit: int = 100
    name_contains: str = ""
    status: str = ""
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None


class Page(NamedTuple):
    """`summaries` is the records' summaries, joined by commas; `last` is the position of the last of them when more
    follow, else None."""

    summaries: str
    last: Position | None


class _Form(NamedTuple):
    """What a statement depends on; the values are its parameters."""

    sort: Sort
    descending: bool
    filters: tuple[str, ...]
    continued: bool


def page(connection: Connection, listing: Listing) -> Page:
    filters = [name for name in ("name_contains", "status") if getattr(listing, name)]
    filters += [name for name in _BOUNDS if getattr(listing, name) is not None]
    form = _Form(listing.sort, listing.descending, tuple(filters), listing.after is not None)
    given: dict[str, Any] = {name: getattr(listing, name) for name in ("kind", "account", "region", *filters)}
    if listing.name_contains:
        given["name_contains"] = f"%{_escaped(listing.name_contains)}%"
    if listing.after is not None:
        given |= {f"after_{column}": value for column, value in zip(_ORDER[listing.sort], listing.after, strict=True)}
    given |= _within_a_lifetime(connection, form, given)
    row = _summaries(form).first(connection, {**given, "count": listing.limit + 1})
    count, text = row if row is not None else (0, None)
    if count <= listing.limit:
        return Page(text or "", None)
    last = _position(form).first(connection, {**given, "count": 1, "skip": listing.limit - 1})
    return Page(text.rpartition(_SEPARATOR)[0], last)


def _within_a_lifetime(connection: Connection, form: _Form, given: dict[str, Any]) -> dict[str, Any]:
    """The values of the bounds of _IMPLIED_WITHIN."""
    signs = {name: sign for name in form.filters if (sign := _IMPLIED_WITHIN.get((form.sort, name)))}
    if not signs:
        return {}
    row = _LONGEST.first(connection, given)
    longest = _ROUNDING if row is None else row[0] + _ROUNDING
    return {f"within_{name}": given[name] + sign * longest for name, sign in signs.items()}


class _Joined(Prepared):
    """How many rows of text there are, and these as one text. The aggregates take rows as they come, and a subquery
    with a limit gives them in its order."""

    def __init__(self, rows: sa.Select[Any]) -> None:
        super().__init__(rows)
        self._rows = rows.subquery()

    def _statement_for(self, dialect: Dialect) -> Any:
        join = sa.func.group_concat if dialect.name == "sqlite" else sa.func.string_agg
        return sa.select(sa.func.count(), join(*self._rows.columns, sa.literal(_SEPARATOR)))


@lru_cache(maxsize=256)
def _summaries(form: _Form) -> Prepared:
    return _Joined(_rows(form, [records.c.summary]))


@lru_cache(maxsize=256)
def _position(form: _Form) -> Prepared:
    columns = [records.c[name] for name in _ORDER[form.sort]]
    return Prepared(_rows(form, columns).offset(sa.bindparam("skip", type_=sa.Integer)))


def _rows(form: _Form, columns: list[sa.Column[Any]]) -> sa.Select[Any]:
    order = [records.c[name] for name in _ORDER[form.sort]]
    if form.sort == "status" and "status" in form.filters:
        order = order[1:]
    statement = sa.select(*columns).where(*_conditions(form))
    if form.continued:
        here, there = sa.tuple_(*order), sa.tuple_(*(_bind(f"after_{each.name}", each) for each in order))
        statement = statement.where(here < there if form.descending else here > there)
    ordered = statement.order_by(*(each.desc() if form.descending else each for each in order))
    return ordered.limit(sa.bindparam("count", type_=sa.Integer))


def _conditions(form: _Form) -> list[sa.ColumnElement[bool]]:
    wanted = list(_OF_A_KIND)
    for name in form.filters:
        if name == "status":
            wanted.append(records.c.status == _bind(name, records.c.status))
        elif name == "name_contains":
            wanted.append(records.c.name.like(_bind(name, records.c.name), escape="/"))
        else:
            column, sign = _BOUNDS[name]
            wanted.append(_bound(column, sign, name, sorted_by=form.sort == column))
            if (form.sort, name) in _IMPLIED:
                wanted.append(_bound(form.sort, sign, name, sorted_by=True))
            if (form.sort, name) in _IMPLIED_WITHIN:
                wanted.append(_bound(form.sort, sign, f"within_{name}", sorted_by=True))
    return wanted


def _bound(column: str, sign: str, name: str, sorted_by: bool) -> sa.ColumnElement[bool]:
    """A bound on another column than the one sorted by must not make the planner read that one's index and sort."""
    value = _bind(name, records.c[column])
    here: sa.ColumnElement[Any] = records.c[column] if sorted_by else records.c[column] + sa.literal_column("0")
    return here > value if sign == ">" else here < value


def _bind(name: str, column: sa.Column[Any]) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=column.type)


_OF_A_KIND = [records.c[name] == _bind(name, records.c[name]) for name in ("kind", "account", "region")]
_LONGEST = Prepared(sa.select(_LIFETIME).where(*_OF_A_KIND).order_by(_LIFETIME.desc()).limit(1))


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")
