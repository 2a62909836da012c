"""The errors a client sees: AWS's code, status and wording. Everything else is a defect of ours."""

from __future__ import annotations

from collections.abc import Mapping


class ServiceError(Exception):
    """An answer that is an error.

    `code` and `status` are what the service's model or documentation declare, `message` is AWS's wording;
    `members` are further members of a modelled error shape (e.g. `OriginalStatusCode` of ModelError, `BucketName`);
    `headers` are headers that S3 puts on the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members: dict[str, object] = dict(members or {})
        self.headers: dict[str, str] = dict(headers or {})

    def __repr__(self) -> str:
        return f"ServiceError({self.code!r}, {self.message!r}, {self.status})"


def validation(message: str) -> ServiceError:
    """The error SageMaker and most JSON services use for bad input and for missing resources."""
    return ServiceError("ValidationException", message)


def access_denied(message: str = "Access Denied") -> ServiceError:
    return ServiceError("AccessDeniedException", message, 403)


def not_built(service: str, operation: str, why: str = "") -> ServiceError:
    """For an operation that AWS has and Clary does not have; `why`, where there is a reason, as a sentence."""
    said = why or "docs/reference/compatibility.md lists what is."
    message = f"{service}:{operation} is not built in Clary{'' if why else ' yet'}. {said}"
    return ServiceError("NotImplemented", message, 501)


def option_not_built(operation: str, member: str) -> ServiceError:
    """For an option of a built operation that Clary does not honour yet: refused, never ignored."""
    return validation(
        f"{operation}: {member} is not built in Clary yet. Leave it out, or see docs/reference/compatibility.md."
    )


def internal(message: str = "An internal error occurred.") -> ServiceError:
    return ServiceError("InternalFailure", message, 500)
