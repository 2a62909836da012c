"""Policy simulation: what policies would decide, by the evaluator that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, Decision, MalformedPolicy, Matched, Policy, Standing, decide, parse
from clary.auth.principals import Principal
from clary.services.iam import errors, shapes, standing
from clary.services.iam.parsed import identity
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

_KINDS = (shapes.USER, shapes.ROLE, shapes.GROUP)
_DECISIONS = {"allowed": "allowed", "explicit": "explicitDeny", "implicit": "implicitDeny"}
# What is known of the caller of every request, so that no simulation misses it.
_PROVIDED = {
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principaltype",
    "aws:userid",
    "aws:username",
}


@dataclass(frozen=True, slots=True)
class _Simulation:
    """What every action on every resource is asked with."""

    principal: Principal
    standing: Standing
    context: dict[str, Sequence[str]]


@operations.handles("SimulatePrincipalPolicy")
def simulate_principal_policy(call: Call, given: Document) -> Document:
    record, found = _source(call, given["PolicySourceArn"])
    known = identity(found)
    policies = [*known.policies, *_inputs(given.get("PolicyInputList"))]
    context = {**known.facts, **_facts(record), **_context(given)}
    return _results(given, _simulation(call, given, policies, known.boundary, context, record.arn))


def _source(call: Call, arn: str) -> tuple[Record, standing.Identity]:
    """The user, role or group whose policies are simulated. Raises NoSuchEntity."""

    def work(connection: Connection) -> tuple[Record, standing.Identity]:
        record = records.by_arn(connection, arn)
        if record is None or record.account != call.account or record.kind not in _KINDS:
            raise errors.no_such(f"The entity with name {arn.rpartition('/')[2]} cannot be found.")
        return record, standing.identity_at(connection, record)

    return call.platform.stores.records.read(work)


@operations.handles("SimulateCustomPolicy")
def simulate_custom_policy(call: Call, given: Document) -> Document:
    policies = _inputs(given["PolicyInputList"])
    caller = given.get("CallerArn") or call.principal.arn
    return _results(given, _simulation(call, given, policies, None, _context(given), caller))


@operations.handles("GetContextKeysForCustomPolicy")
def get_context_keys_for_custom_policy(call: Call, given: Document) -> Document:
    return {"ContextKeyNames": _keys(_inputs(given["PolicyInputList"]))}


@operations.handles("GetContextKeysForPrincipalPolicy")
def get_context_keys_for_principal_policy(call: Call, given: Document) -> Document:
    _, found = _source(call, given["PolicySourceArn"])
    return {"ContextKeyNames": _keys([*identity(found).policies, *_inputs(given.get("PolicyInputList"))])}


def _keys(policies: Sequence[Policy]) -> list[str]:
    return sorted({key for policy in policies for key in policy.condition_keys()})


def _simulation(
    call: Call,
    given: Document,
    policies: Sequence[Policy],
    boundary: Policy | None,
    context: dict[str, Sequence[str]],
    arn: str,
) -> _Simulation:
    boundaries = _inputs(given.get("PermissionsBoundaryPolicyInputList"), "PermissionsBoundaryPolicyInputList")
    resource = _inputs([given["ResourcePolicy"]], "ResourcePolicy")[0] if given.get("ResourcePolicy") else None
    owner = _owner(given.get("ResourceOwner") or f"arn:aws:iam::{call.account}:root")
    principal = Principal("user", call.account, given.get("CallerArn") or arn, "")
    limits = boundaries[0] if boundaries else boundary
    return _Simulation(principal, Standing(policies, limits, None, resource, owner if resource else ""), context)


def _owner(arn: str) -> str:
    """The account in an account's ARN. Raises InvalidInput."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or not (parts[4].isascii() and parts[4].isdigit() and len(parts[4]) == 12):
        raise errors.bad_input("Invalid Input ResourceOwner must be an ARN such as arn:aws:iam::123456789012:root")
    return parts[4]


def _inputs(texts: Sequence[str] | None, member: str = "PolicyInputList") -> list[Policy]:
    """Raises InvalidInput."""
    try:
        return [parse(text, f"{member}.{number}") for number, text in enumerate(texts or (), 1)]
    except MalformedPolicy as error:
        raise errors.bad_input(f"Invalid Input {error.message}") from None


def _facts(record: Record) -> dict[str, Sequence[str]]:
    return {
        "aws:principalarn": (record.arn,),
        "aws:principalaccount": (record.account,),
        **({"aws:username": (record.name or "",)} if record.kind == shapes.USER else {}),
    }


def _context(given: Document) -> dict[str, Sequence[str]]:
    """Raises InvalidInput for several values of a type that has one."""
    found: dict[str, Sequence[str]] = {}
    for each in given.get("ContextEntries") or ():
        name, values = each["ContextKeyName"], tuple(each.get("ContextKeyValues") or ())
        if len(values) > 1 and not str(each.get("ContextKeyType", "stringList")).endswith("List"):
            raise errors.bad_input(f"Invalid Input Context key {name} of type {each['ContextKeyType']} has one value.")
        found[name.lower()] = values
    return found


def _results(given: Document, simulation: _Simulation) -> Document:
    for member in ("ResourceHandlingOption", "OrderedOrganizationPolicyInputList"):
        if given.get(member):
            raise errors.not_built("SimulateCustomPolicy", member)
    asked = [(action, resource) for action in given["ActionNames"] for resource in given.get("ResourceArns") or ("*",)]
    numbered = [(f"{number:08d}", each) for number, each in enumerate(asked)]
    return shapes.page(
        numbered, given, "EvaluationResults", lambda each: _result(simulation, *each[1]), lambda each: each[0]
    )


def _result(simulation: _Simulation, action: str, resource: str) -> dict[str, Any]:
    ask = Ask(simulation.principal, action, resource, simulation.context)
    decision = decide(ask, simulation.standing)
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": _DECISIONS[decision.why],
        "MatchedStatements": [_matched(each) for each in decision.statements],
        "MissingContextValues": sorted(_missing(simulation, action)),
    }
    if simulation.standing.boundary is not None:
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": _within(ask, simulation)}
    if simulation.standing.resource is not None:
        result["EvalDecisionDetails"] = dict(_details(ask, simulation.standing, decision))
    return result


def _within(ask: Ask, simulation: _Simulation) -> bool:
    boundary = simulation.standing.boundary
    return boundary is not None and decide(ask, Standing([boundary])).allowed


def _details(ask: Ask, sides: Standing, decision: Decision) -> Iterator[tuple[str, str]]:
    """By the kind of policies, each alone."""
    yield "IAM Policy", _DECISIONS[decide(ask, replace(sides, resource=None, resource_account="")).why]
    alone = Standing(resource=sides.resource, resource_account=sides.resource_account, resource_decides=True)
    kind = decide(ask, alone)
    yield "Resource Policy", _DECISIONS["allowed" if decision.kind == "resource" and decision.allowed else kind.why]


def _matched(found: Matched) -> dict[str, str]:
    source = found.policy.source
    aws = source.startswith("arn:aws:iam::aws:policy/")
    kinds = {"resource": "resource", "boundary": "user-managed", "session": "none"}
    own = "user-managed" if source.startswith("arn:") else "none"
    kind = "aws-managed" if aws else kinds.get(found.kind, own)
    return {"SourcePolicyId": source.rpartition("/")[2], "SourcePolicyType": kind}


def _missing(simulation: _Simulation, action: str) -> set[str]:
    """The keys that a policy about the action looks at and nobody gave."""
    sides = simulation.standing
    policies = [*sides.identity, *(each for each in (sides.boundary, sides.resource) if each is not None)]
    looked_at = {key for policy in policies if policy.about(action) for key in policy.condition_keys()}
    return looked_at - simulation.context.keys() - _PROVIDED
