"""What can go wrong with the store itself, apart from what a caller's own work raises."""

from __future__ import annotations

from clary.errors import ServiceError


class StoreFull(ServiceError):
    """No room left on the disk. Nothing of the write stayed; clients may try again, so it is an AWS-shaped 503."""

    def __init__(self) -> None:
        message = "The disk that holds Clary's data is full. Nothing was changed; free some space and try again."
        super().__init__("ServiceUnavailable", message, 503)


class StoreFailed(Exception):
    """The transaction of a write could not be committed; `__cause__` says why. Nothing of it stayed."""


class StoreClosed(Exception):
    """A call after `close`."""


class StoreTooNew(Exception):
    """The data was written by a later version of Clary than this one."""
