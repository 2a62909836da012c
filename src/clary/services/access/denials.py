"""A denial as each service answers it."""

from __future__ import annotations

from clary.auth.policy import Ask, Decision, denial
from clary.errors import ServiceError

_XML = frozenset({"iam", "sts", "sns", "cloudwatch"})


def denied(service: str, ask: Ask, decision: Decision, home: bool = True) -> ServiceError:
    """`home`: whether the resource is of the caller's own account. S3 tells nobody else why."""
    if service in ("s3", "s3control"):
        told = home and ask.principal.kind != "anonymous"
        return ServiceError("AccessDenied", denial(ask, decision, quoted=True) if told else "Access Denied", 403)
    if service in _XML:
        return ServiceError("AccessDenied", denial(ask, decision), 403)
    return ServiceError("AccessDeniedException", denial(ask, decision), 400)
