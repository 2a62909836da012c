"""The resource engine: a declaration gives a resource its Describe, List and Delete, and the durable half of Create.

It rests on a measured fact: for almost every creatable SageMaker resource, each input member of Create* except Tags
comes back in Describe*. So the stored document is the request itself, plus what the service adds. Members whose name
begins with an underscore are the service's own and never leave.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy.engine import Connection

from clary.arns import Arn
from clary.errors import ServiceError, option_not_built
from clary.services import paging, tagging
from clary.services.operation import Call, Document, Operations, Result
from clary.store import listings, records
from clary.store.listings import Listing
from clary.store.records import NameTaken, Record
from clary.wire.body_json import Written
from clary.wire.scalars import write_epoch

Check = Callable[[Connection], None]
Place = Callable[[Connection, Record], Record]
View = Callable[[Record], Document]

_PAGE = 10
_SORTS: dict[str, listings.Sort] = {
    "Name": "name",
    "CreationTime": "created",
    "LastModifiedTime": "modified",
    "Status": "status",
}
_BOUNDS = {
    "CreationTimeAfter": "created_after",
    "CreationTimeBefore": "created_before",
    "LastModifiedTimeAfter": "modified_after",
    "LastModifiedTimeBefore": "modified_before",
}
_OWN = '"_'  # with which the name of a member of the service's own begins in a text
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_quoted = json.encoder.encode_basestring_ascii
_LISTING_MEMBERS = {*_BOUNDS, "NextToken", "MaxResults", "SortBy", "SortOrder", "NameContains", "StatusEquals"}


def public(record: Record) -> Document:
    """The document without the service's own members."""
    return {name: value for name, value in record.document.items() if not name.startswith("_")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of resource.

    `kind` is the record kind and the ARN's type; `noun` the stem of its operations and members ("Model" gives
    CreateModel, ModelName, ModelArn); `listing` the list member of List*, whose entries have the `summary` members.
    `missing` and `taken` are AWS's texts with `{arn}` in them; `edges` says which status may follow which.
    `view` makes of a record what Describe adds to its name, ARN, times and status. `written` does the same with the
    JSON text of a document that has no members of the service's own: for kinds whose documents are stored as Describe
    shows them, their names among them, so that they need not be read to be told.
    """

    kind: str
    noun: str
    plural: str
    listing: str
    summary: Sequence[str]
    missing: str
    taken: str
    taken_code: str = "ValidationException"
    edges: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shows_modified: bool = False
    descending: bool = True
    view: View = public
    written: Callable[[str], str] | None = None

    def arn(self, account: str, region: str, name: str) -> str:
        return str(Arn("sagemaker", region, account, f"{self.kind}/{name}"))

    def is_missing(self, arn: str) -> ServiceError:
        return ServiceError("ValidationException", self.missing.format(arn=arn))

    def is_taken(self, arn: str) -> ServiceError:
        return ServiceError(self.taken_code, self.taken.format(arn=arn))


def create(
    resource: Resource,
    call: Call,
    document: Document,
    *,
    status: str = "",
    check: Check | None = None,
    place: Place | None = None,
) -> Document:
    """Commits the new record and its tags in one transaction and answers its ARN.

    `document` is the request, with what the service adds; `check` runs inside the transaction, before the insert;
    `place` likewise, and gives the record as it is to be, perhaps in a queue.
    Raises the resource's `taken` error.
    """
    name = document[f"{resource.noun}Name"]
    arn = resource.arn(call.account, call.region, name)
    tags = tagging.checked(document.get("Tags", ()))
    now = call.platform.clock.now()
    kept = _plain({member: value for member, value in document.items() if member != "Tags"})
    record = Record(resource.kind, call.account, call.region, arn, name, status, now, now, kept)

    def commit(connection: Connection) -> Record:
        if check is not None:
            check(connection)
        placed = record if place is None else place(connection, record)
        try:
            records.insert(connection, dataclasses.replace(placed, summary=summary(resource, placed)))
        except NameTaken as error:
            raise resource.is_taken(error.arn) from None
        tagging.put(connection, arn, tags)
        return placed

    if not call.platform.stores.records.write(commit).queue:  # in a queue its turn comes by itself
        call.platform.wake()
    return {f"{resource.noun}Arn": arn}


def require(connection: Connection, resource: Resource, call: Call, name: str) -> Record:
    """The record of that name in the caller's account and region. Raises the resource's `missing` error."""
    found = records.find(connection, resource.kind, call.account, call.region, name)
    if found is None:
        raise resource.is_missing(resource.arn(call.account, call.region, name))
    return found


def describe(resource: Resource, call: Call, given: Document) -> Result:
    name = given[f"{resource.noun}Name"]

    def look(connection: Connection) -> Result:
        if resource.written is not None:
            found = records.written(connection, resource.kind, call.account, call.region, name)
            if found is not None and _OWN not in found.document:
                return Written(f"{resource.written(found.document)[:-1]},{_written_head(resource, found)}}}")
        return present(resource, require(connection, resource, call, name))

    return call.platform.stores.records.read(look)


def present(resource: Resource, record: Record) -> Document:
    """A record as Describe* shows it."""
    return {**resource.view(record), f"{resource.noun}Name": record.name, **_head(resource, record)}


def _head(resource: Resource, record: Record | records.Written) -> Document:
    shown: Document = {f"{resource.noun}Arn": record.arn, "CreationTime": record.created}
    if resource.shows_modified:
        shown["LastModifiedTime"] = record.modified
    if record.status:
        shown[f"{resource.noun}Status"] = record.status
    return shown


def _written_head(resource: Resource, record: records.Written) -> str:
    """`_head` as the members of a JSON text: times, which are numbers, and texts."""
    shown = _head(resource, record).items()
    return ",".join(
        [f'"{name}":{write_epoch(each) if isinstance(each, float) else _quoted(each)}' for name, each in shown]
    )


def listing(resource: Resource, call: Call, given: Document) -> Result:
    """One page. NextToken is absent when nothing is left."""
    for member in given.keys() - _LISTING_MEMBERS:
        raise option_not_built(f"List{resource.plural}", member)
    database = call.platform.stores.records
    binding = [call.operation, call.account, call.region, _filters(given)]
    token = given.get("NextToken")
    after = paging.redeem(paging.signing_key(database), binding, token) if token else None
    wanted = _listing(resource, call, given, after)
    page, key = database.read(lambda connection: (listings.page(connection, wanted), paging.known_key(connection)))
    rest = ""
    if page.last is not None:
        rest = f',"NextToken":"{paging.issue(key or paging.signing_key(database), binding, page.last)}"'
    return Written(f'{{"{resource.listing}":[{page.summaries}]{rest}}}')


def delete(resource: Resource, call: Call, given: Document) -> Document:
    """At once and for good: for resources that nothing runs for."""
    name = given[f"{resource.noun}Name"]

    def commit(connection: Connection) -> None:
        remove(connection, require(connection, resource, call, name))

    call.platform.stores.records.write(commit)
    return {}


def remove(connection: Connection, record: Record) -> None:
    """Deletes a record and its tags. Raises records.Changed."""
    records.delete(connection, record)
    tagging.drop_all(connection, record.arn)


def move(
    connection: Connection,
    resource: Resource,
    record: Record,
    document: Document,
    now: float,
    status: str = "",
    *,
    queue: str = "",
    until: float | None = None,
) -> Record:
    """Writes a new document and, along a declared edge, a new status, if nobody changed the record since it was read
    (else records.Changed). LastModifiedTime never goes back. The record leaves its queue unless one is given."""
    status = status or record.status
    if status != record.status and status not in resource.edges.get(record.status, frozenset()):
        raise ValueError(f"{record.arn}: no edge from {record.status} to {status}")
    modified = max(now, record.modified)
    told = summary(resource, dataclasses.replace(record, document=document, status=status, modified=modified))
    changed: dict[str, Any] = {"document": document, "status": status, "modified": modified, "summary": told}
    return records.replace(connection, record, **changed, queue=queue, until=until)


def serve(operations: Operations, resource: Resource, *verbs: Literal["Describe", "List", "Delete"]) -> None:
    """Enters the engine's own operations for a resource."""
    for verb in verbs:
        match verb:
            case "Describe":
                operations.add(f"Describe{resource.noun}", functools.partial(describe, resource))
            case "List":
                operations.add(f"List{resource.plural}", functools.partial(listing, resource))
            case "Delete":
                operations.add(f"Delete{resource.noun}", functools.partial(delete, resource))


def _listing(resource: Resource, call: Call, given: Document, after: paging.Position | None) -> Listing:
    order = given.get("SortOrder")
    bounds: dict[str, Any] = {column: _plain(given[member]) for member, column in _BOUNDS.items() if member in given}
    return Listing(
        resource.kind,
        call.account,
        call.region,
        sort=_SORTS[given.get("SortBy", "CreationTime")],
        descending=resource.descending if order is None else order == "Descending",
        after=after,
        limit=given.get("MaxResults", _PAGE),
        name_contains=given.get("NameContains", ""),
        status=given.get("StatusEquals", ""),
        **bounds,
    )


def _filters(given: Document) -> Document:
    return {member: _plain(value) for member, value in given.items() if member not in ("NextToken", "MaxResults")}


def summary(resource: Resource, record: Record) -> str:
    """What List* shows of a record, as JSON text. In SageMaker's summaries the names of times end in Time."""
    known = {**record.document, f"{resource.noun}Name": record.name, **_head(resource, record)}
    return _ENCODER.encode({name: _time(name, known[name]) for name in resource.summary if name in known})


def _time(name: str, value: Any) -> Any:
    return write_epoch(value) if name.endswith("Time") else value


def _plain(value: Any) -> Any:
    """As JSON has it: times become epoch seconds."""
    kind = type(value)
    if kind is dict:
        return {key: _plain(each) for key, each in value.items()}
    if kind is list or kind is tuple:
        return [_plain(each) for each in value]
    return value.timestamp() if kind is datetime.datetime else value
