"""Policy simulation: refused until policies are evaluated. The SDKs take this refusal as "cannot check", and go on."""

from __future__ import annotations

from clary.services.iam import errors
from clary.services.operation import Call, Document, Operations

operations = Operations()


@operations.handles("SimulatePrincipalPolicy")
def simulate_principal_policy(call: Call, given: Document) -> Document:
    raise errors.denied(
        f"User: {call.principal.arn} is not authorized to perform: iam:SimulatePrincipalPolicy "
        f"on resource: {given['PolicySourceArn']} (policy simulation is not built in Clary yet)"
    )
