"""SNS's errors, in its words."""

from __future__ import annotations

from clary.errors import ServiceError


def invalid(message: str) -> ServiceError:
    """`message` as AWS writes it behind "Invalid parameter: "."""
    return ServiceError("InvalidParameter", f"Invalid parameter: {message}")


def invalid_value(message: str) -> ServiceError:
    """Of message attributes."""
    return ServiceError("ParameterValueInvalid", message)


def no_topic() -> ServiceError:
    return ServiceError("NotFound", "Topic does not exist", 404)


def no_subscription() -> ServiceError:
    return ServiceError("NotFound", "Subscription does not exist", 404)


def no_resource() -> ServiceError:
    return ServiceError("ResourceNotFound", "Resource does not exist", 404)


def bad_arn(member: str, text: str) -> ServiceError:
    parts = len(text.split(":"))
    if parts < 6:
        return invalid(f"{member} Reason: An ARN must have at least 6 elements, not {parts}")
    return invalid(member)


def not_built(operation: str, member: str) -> ServiceError:
    """For what Clary does not honour yet: refused, never ignored."""
    return invalid(f"{operation}: {member} is not built in Clary yet. See docs/reference/compatibility.md.")
