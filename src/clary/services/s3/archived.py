"""Whether an archived object, of the class GLACIER or DEEP_ARCHIVE, can be read: while it is restored."""

from __future__ import annotations

from email.utils import formatdate

from clary.clock import Clock
from clary.errors import ServiceError
from clary.services.operation import Document
from clary.services.s3 import options
from clary.services.s3.index import Entry


def is_readable(entry: Entry, clock: Clock) -> bool:
    if entry.storage_class not in options.ARCHIVES:
        return True
    return entry.restored is not None and entry.restored > clock.now()


def check_readable(entry: Entry, clock: Clock) -> None:
    """Raises InvalidObjectState."""
    if not is_readable(entry, clock):
        message = "The operation is not valid for the object's storage class"
        raise ServiceError("InvalidObjectState", message, 403, {"StorageClass": entry.storage_class})


def check_source(entry: Entry, clock: Clock) -> None:
    """Of what is copied. Raises ObjectNotInActiveTierError."""
    if not is_readable(entry, clock):
        message = "The source object of the COPY action is not in the active tier"
        raise ServiceError("ObjectNotInActiveTierError", message, 403)


def shown(entry: Entry, clock: Clock) -> Document:
    """As a member of an answer about the object."""
    if entry.restored is None or not is_readable(entry, clock):
        return {}
    return {"Restore": f'ongoing-request="false", expiry-date="{formatdate(entry.restored, usegmt=True)}"'}
