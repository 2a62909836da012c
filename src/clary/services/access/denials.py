"""A denial as each service answers it."""

from __future__ import annotations

from clary.auth.policy import Ask, Decision, denial
from clary.errors import ServiceError
from clary.services.access.wanted import Wanted
from clary.services.operation import Call

_XML = frozenset({"iam", "sts", "cloudwatch"})


def require(call: Call, wanted: Wanted) -> None:
    """Raises the service's denial."""
    decision = call.caller.decide(wanted.action, wanted.resource, wanted.context, wanted.version)
    if not decision.allowed:
        ask = call.caller.ask(wanted.action, wanted.resource, wanted.context)
        owner = call.caller.sides(call.principal, wanted.action, wanted.resource, wanted.version).account
        raise _denied(call.service, ask, decision, owner in ("", call.principal.account))


def _denied(service: str, ask: Ask, decision: Decision, home: bool) -> ServiceError:
    """`home`: whether the resource is of the caller's own account. S3 tells nobody else why."""
    if service in ("s3", "s3control"):
        told = home and ask.principal.kind != "anonymous"
        return ServiceError("AccessDenied", denial(ask, decision, quoted=True) if told else "Access Denied", 403)
    if service in _XML:
        return ServiceError("AccessDenied", denial(ask, decision), 403)
    if service == "sns":
        return ServiceError("AuthorizationError", denial(ask, decision), 403)
    return ServiceError("AccessDeniedException", denial(ask, decision), 400)
