"""A denial in AWS's words."""

from __future__ import annotations

from clary.auth.policy.decision import Ask, Decision, Kind

_POLICIES: dict[Kind, str] = {
    "identity": "identity-based policy",
    "resource": "resource-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
}


def denial(ask: Ask, decision: Decision, quoted: bool = False) -> str:
    """Of a decision that is no. `quoted`: the resource in quotes, as S3 writes it. Without a resource ("*") AWS names
    it all the same."""
    resource = f'"{ask.resource}"' if quoted else ask.resource
    return (
        f"User: {ask.principal.arn} is not authorized to perform: {ask.action} on resource: {resource} "
        f"{because(ask, decision)}"
    )


def because(ask: Ask, decision: Decision) -> str:
    policies = _POLICIES[decision.kind]
    if decision.why == "explicit":
        article = "an" if policies.startswith("i") else "a"
        return f"with an explicit deny in {article} {policies}"
    return f"because no {policies} allows the {ask.action} action"
