"""IAM's errors, in its wording."""

from __future__ import annotations

from clary.errors import ServiceError


def no_such(message: str) -> ServiceError:
    return ServiceError("NoSuchEntity", message, 404)


def bad_input(message: str) -> ServiceError:
    return ServiceError("InvalidInput", message, 400)


def unmodifiable(role: str) -> ServiceError:
    message = f"Cannot perform the operation on the protected role '{role}' - this role is only modifiable by AWS"
    return ServiceError("UnmodifiableEntity", message, 400)


def no_role(name: str) -> ServiceError:
    return no_such(f"The role with name {name} cannot be found.")


def no_policy(arn: str) -> ServiceError:
    return no_such(f"Policy {arn} was not found.")


def exists(message: str) -> ServiceError:
    return ServiceError("EntityAlreadyExists", message, 409)


def conflict(message: str) -> ServiceError:
    return ServiceError("DeleteConflict", message, 409)


def limit(message: str) -> ServiceError:
    return ServiceError("LimitExceeded", message, 409)


def malformed(message: str) -> ServiceError:
    return ServiceError("MalformedPolicyDocument", message, 400)


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message, 400)


def denied(message: str) -> ServiceError:
    return ServiceError("AccessDenied", message, 403)


def not_built(operation: str, member: str) -> ServiceError:
    """For a parameter that Clary does not honour yet: refused, never ignored."""
    return invalid(f"{operation}: {member} is not built in Clary yet. Leave it out.")
