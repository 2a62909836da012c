"""What the Put, Get and Delete of every configuration of a bucket have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document
from clary.services.s3 import access, bucket_settings
from clary.services.s3.index import Bucket


def put(
    call: Call, given: Document, name: str, value: Any, check: Callable[[Connection, Bucket], None] | None = None
) -> None:
    """Sets the bucket's configuration of that name to `value`, which JSON can hold, if `check` does not raise."""

    def work(connection: Connection) -> None:
        bucket = access.enter(connection, call, given)
        if check is not None:
            check(connection, bucket)
        bucket_settings.enter(connection, bucket, name, value)

    call.platform.stores.objects.write(work)


def get(call: Call, given: Document, name: str) -> Any | None:
    """The configuration, None when the bucket has none."""

    def work(connection: Connection) -> Any | None:
        return bucket_settings.find(connection, access.enter(connection, call, given), name)

    return call.platform.stores.objects.read(work)


def delete(call: Call, given: Document, name: str) -> None:
    def work(connection: Connection) -> None:
        bucket_settings.remove(connection, access.enter(connection, call, given), name)

    call.platform.stores.objects.write(work)


def absent(given: Document, code: str, message: str) -> ServiceError:
    """What a Get answers where nothing is set."""
    return ServiceError(code, message, 404, {"BucketName": given["Bucket"]})
