"""Who asks for a key, and what the records of this service are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.services.operation import Call, Document

KEY, ALIAS, GRANT, USAGE = "kms-key", "kms-alias", "kms-grant", "kms-usage"


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks for a key in an account and region, at a time, to do `operation` with it.

    `caller` is what policies are asked about; None when whoever asks has been authorised already. `service` is set when
    one of this server's services asks on behalf of `principal`: AWS managed keys are for services only. `given` are the
    members of the request, `context` its encryption context (None for operations that have none)."""

    principal: Principal
    account: str
    region: str
    operation: str
    now: float
    caller: Caller | None = None
    service: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, str] | None = None

    @classmethod
    def of(cls, call: Call, given: Document, context: Mapping[str, str] | None = None, operation: str = "") -> Asker:
        """`operation` where the permission has another name than the call's operation."""
        name, now = operation or call.operation, call.platform.clock.now()
        return cls(call.principal, call.account, call.region, name, now, call.caller, given=given, context=context)
