"""CloudWatch Logs' errors, in its words."""

from __future__ import annotations

from clary.errors import ServiceError


def invalid(message: str) -> ServiceError:
    """What this service answers where others say ValidationException."""
    return ServiceError("InvalidParameterException", message)


def no_group() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")


def exists(what: str) -> ServiceError:
    return ServiceError("ResourceAlreadyExistsException", f"The specified {what} already exists")


def not_offered(operation: str, member: str) -> ServiceError:
    """An option that is not built: refused, never ignored."""
    return invalid(f"{operation}: {member} is not built in Clary yet. Leave it out.")
