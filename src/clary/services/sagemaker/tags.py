"""AddTags, ListTags, DeleteTags: for every resource that exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.engine import Connection

from clary.arns import Arn
from clary.errors import ServiceError, validation
from clary.services import tagging
from clary.services.operation import Call, Document, Operations
from clary.services.resources import Resource
from clary.store import records

T = TypeVar("T")


def operations(taggable: tuple[Resource, ...]) -> Operations:
    """The three operations over `taggable` resources."""
    table = Operations()
    by_kind = {resource.kind: resource for resource in taggable}

    @table.handles("AddTags")
    def add_tags(call: Call, given: Document) -> Document:
        wanted = tagging.checked(given["Tags"])

        def commit(connection: Connection, arn: str) -> Document:
            tagging.put(connection, arn, wanted)
            return {"Tags": _listed(connection, arn)}

        return call.platform.stores.records.write(_of_existing(call, given, by_kind, commit))

    @table.handles("ListTags")
    def list_tags(call: Call, given: Document) -> Document:
        if given.get("NextToken"):
            raise validation("Invalid pagination token: all tags of a resource fit on one page.")
        return call.platform.stores.records.read(
            _of_existing(call, given, by_kind, lambda connection, arn: {"Tags": _listed(connection, arn)})
        )

    @table.handles("DeleteTags")
    def delete_tags(call: Call, given: Document) -> Document:
        def commit(connection: Connection, arn: str) -> Document:
            tagging.drop(connection, arn, given["TagKeys"])
            return {}

        return call.platform.stores.records.write(_of_existing(call, given, by_kind, commit))

    return table


def _of_existing(
    call: Call, given: Document, by_kind: dict[str, Resource], work: Callable[[Connection, str], T]
) -> Callable[[Connection], T]:
    """`work` on the ARN of the request, once it is known to name a resource of the caller's."""
    arn = given["ResourceArn"]
    kind, _, _ = Arn.parse(arn).resource.partition("/")

    def checked(connection: Connection) -> T:
        record = records.by_arn(connection, arn)
        if (
            record is None
            or record.kind not in by_kind
            or (record.account, record.region) != (call.account, call.region)
        ):
            raise _missing(by_kind.get(kind), arn)
        return work(connection, arn)

    return checked


def _missing(resource: Resource | None, arn: str) -> ServiceError:
    return resource.is_missing(arn) if resource else validation(f'Could not find resource "{arn}".')


def _listed(connection: Connection, arn: str) -> list[Document]:
    return [{"Key": key, "Value": value} for key, value in tagging.of(connection, arn).items()]
