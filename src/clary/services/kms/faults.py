"""KMS's errors, in its words."""

from __future__ import annotations

from clary.auth.principals import Principal
from clary.errors import ServiceError, validation


def invalid(message: str) -> ServiceError:
    return validation(message)


def no_key(arn: str) -> ServiceError:
    return ServiceError("NotFoundException", f"Key '{arn}' does not exist")


def no_alias(arn: str) -> ServiceError:
    return ServiceError("NotFoundException", f"Alias {arn} is not found.")


def bad_key_id(key_id: str) -> ServiceError:
    return ServiceError("NotFoundException", f"Invalid keyId '{key_id}'")


def bad_arn(text: str) -> ServiceError:
    return ServiceError("NotFoundException", f"Invalid arn {text}")


def no_grant(grant_id: str) -> ServiceError:
    return ServiceError("NotFoundException", f"Grant ID {grant_id} not found")


def disabled(arn: str) -> ServiceError:
    return ServiceError("DisabledException", f"{arn} is disabled.")


def wrong_state(message: str) -> ServiceError:
    return ServiceError("KMSInvalidStateException", message)


def wrong_usage(arn: str, usage: str, operation: str) -> ServiceError:
    return ServiceError("InvalidKeyUsageException", f"{arn} key usage is {usage} which is not valid for {operation}.")


def incompatible(algorithm: str, spec: str) -> ServiceError:
    message = f"Algorithm {algorithm} is incompatible with key spec {spec}."
    return ServiceError("InvalidKeyUsageException", message)


def unsupported(message: str = "") -> ServiceError:
    return ServiceError("UnsupportedOperationException", message)


def wrong_origin(arn: str, origin: str) -> ServiceError:
    return unsupported(f"{arn} origin is {origin} which is not valid for this operation.")


def bad_ciphertext() -> ServiceError:
    """Whatever is wrong with it: a more exact word would help who forges."""
    return ServiceError("InvalidCiphertextException", "")


def wrong_key() -> ServiceError:
    message = "The key ID in the request does not identify a CMK that can perform this operation."
    return ServiceError("IncorrectKeyException", message)


def unknown_ciphertext() -> ServiceError:
    """The key that a ciphertext names is not there, or not the caller's: the same words for both."""
    message = (
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
        "or you are not allowed to access."
    )
    return ServiceError("AccessDeniedException", message)


def denied(principal: Principal, operation: str, arn: str, because: str) -> ServiceError:
    message = (
        f"User: {principal.arn} is not authorized to perform: kms:{operation} on resource: {arn} because {because}"
    )
    return ServiceError("AccessDeniedException", message)


def foreign(principal: Principal, operation: str, arn: str) -> ServiceError:
    """A key of another account, there or not."""
    because = (
        "the resource does not exist in this Region, no resource-based policies allow access, "
        "or a resource-based policy explicitly denies access"
    )
    return denied(principal, operation, arn, because)


def not_the_customers(principal: Principal, operation: str, arn: str) -> ServiceError:
    """AWS managed keys are managed, and used, by services alone."""
    return denied(principal, operation, arn, f"no resource-based policy allows the kms:{operation} action")


def dry_run() -> ServiceError:
    message = "The request would have succeeded, but the DryRun option is set."
    return ServiceError("DryRunOperationException", message)  # 400, whatever the model says: recorded from AWS


def tag(message: str) -> ServiceError:
    return ServiceError("TagException", message)


def not_built(operation: str, member: str) -> ServiceError:
    """For an option that Clary does not honour yet: refused, never ignored."""
    return invalid(f"{operation}: {member} is not built in Clary yet. Leave it out.")
