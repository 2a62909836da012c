"""CloudWatch Logs: groups, streams, events, retention, tags."""

from __future__ import annotations

from clary.services.logs import events, filtering, groups, streams, tags
from clary.services.operation import Operations

OPERATIONS = Operations()
for _part in (groups, streams, events, filtering, tags):
    OPERATIONS.include(_part.operations)

VALIDATION_CODE = "InvalidParameterException"
"""The code of this service's answer to parameters that break a constraint of their shape."""

__all__ = ["OPERATIONS", "VALIDATION_CODE"]
