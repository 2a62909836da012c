"""The operations of Endpoint. They record what is wanted; `reconcile` does it."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.errors import option_not_built, validation
from clary.services import resources
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.services.resources import public
from clary.services.sagemaker.endpoint.declaration import ENDPOINT, IN_PROGRESS
from clary.services.sagemaker.endpoint_config import ENDPOINT_CONFIG
from clary.services.sagemaker.model import MODEL
from clary.serving.membership import Fleet, Target
from clary.store import records
from clary.store.records import Query, Record
from clary.store.schema import records as table

# All that is built is a switch of all traffic at once, which a deployment without a configuration is.
_DEPLOYMENT_NOT_BUILT = (
    "DeploymentConfig.RollingUpdatePolicy",
    "DeploymentConfig.AutoRollbackConfiguration",
    "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.WaitIntervalInSeconds",
    "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.CanarySize",
    "DeploymentConfig.BlueGreenUpdatePolicy.TrafficRoutingConfiguration.LinearStepSize",
    "DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds",
)
_RETAINABLE = ("DesiredInstanceCount", "DesiredWeight")

OPERATIONS = Operations()
resources.serve(OPERATIONS, ENDPOINT, "Describe", "List")


@OPERATIONS.handles("CreateEndpoint")
def create_endpoint(call: Call, given: Document) -> Document:
    _check_deployment(call, given)
    now = call.platform.clock.now()
    target = call.platform.stores.records.read(
        lambda connection: _target(connection, call, given["EndpointConfigName"], generation=1)
    )
    kept = {member: value for member, value in given.items() if member != "DeploymentConfig"}
    document = {**kept, **_deployment(given), "_fleet": Fleet(target).dump(), "_since": now}
    return resources.create(
        ENDPOINT,
        call,
        document,
        status="Creating",
        check=lambda connection: _check_name(connection, call, given["EndpointName"]),
    )


def _check_name(connection: Connection, call: Call, name: str) -> None:
    """Endpoint names are told apart without regard to case, though they keep it."""
    same = sa.func.lower(table.c.name) == name.lower()
    query = Query(ENDPOINT.kind, call.account, call.region, limit=1, conditions=(same,))
    for taken in records.select(connection, query):
        raise ENDPOINT.is_taken(taken.arn)


def _target(connection: Connection, call: Call, config_name: str, generation: int) -> Target:
    """A frozen copy of the configuration and its models."""
    config = public(resources.require(connection, ENDPOINT_CONFIG, call, config_name))
    variants = config["ProductionVariants"]
    models = {
        each["ModelName"]: public(resources.require(connection, MODEL, call, each["ModelName"])) for each in variants
    }
    return Target(
        generation,
        config,
        models,
        {each["VariantName"]: each["InitialInstanceCount"] for each in variants},
        {each["VariantName"]: each["InitialVariantWeight"] for each in variants},
    )


def _check_deployment(call: Call, given: Document) -> None:
    refuse(call.operation, given, _DEPLOYMENT_NOT_BUILT)
    policy = given.get("DeploymentConfig", {}).get("BlueGreenUpdatePolicy", {})
    kind = policy.get("TrafficRoutingConfiguration", {}).get("Type", "ALL_AT_ONCE")
    if kind != "ALL_AT_ONCE":
        raise option_not_built(call.operation, f"TrafficRoutingConfiguration of Type {kind}")


def _deployment(given: Document) -> Document:
    return {"LastDeploymentConfig": given["DeploymentConfig"]} if given.get("DeploymentConfig") else {}


@OPERATIONS.handles("UpdateEndpoint")
def update_endpoint(call: Call, given: Document) -> Document:
    _check_deployment(call, given)

    def commit(connection: Connection) -> str:
        record = _idle(connection, call, given["EndpointName"])
        fleet = Fleet.load(record.document["_fleet"])
        target = _target(connection, call, given["EndpointConfigName"], fleet.target.generation + 1)
        target = _retained(given, fleet.serving or fleet.target, target)
        document = dict(record.document)
        if not given.get("RetainDeploymentConfig"):
            document.pop("LastDeploymentConfig", None)
        _start_update(connection, call, record, document | _deployment(given), target)
        return record.arn

    arn = call.platform.stores.records.write(commit)
    call.platform.wake()
    return {"EndpointArn": arn}


def _retained(given: Document, old: Target, new: Target) -> Target:
    """With RetainAllVariantProperties, variants that stay keep their counts and weights, but for what is excluded."""
    if not given.get("RetainAllVariantProperties"):
        return new
    excluded = {each["VariantPropertyType"] for each in given.get("ExcludeRetainedVariantProperties", ())}
    counts, weights = ({}, {}) if excluded >= set(_RETAINABLE) else (dict(old.counts), dict(old.weights))
    if "DesiredInstanceCount" in excluded:
        counts = {}
    if "DesiredWeight" in excluded:
        weights = {}
    return dataclasses.replace(
        new,
        counts={name: counts.get(name, count) for name, count in new.counts.items()},
        weights={name: weights.get(name, weight) for name, weight in new.weights.items()},
    )


@OPERATIONS.handles("UpdateEndpointWeightsAndCapacities")
def update_endpoint_weights_and_capacities(call: Call, given: Document) -> Document:
    refuse(call.operation, given, ("DesiredWeightsAndCapacities[].ServerlessUpdateConfig",))

    def commit(connection: Connection) -> str:
        record = _idle(connection, call, given["EndpointName"])
        target = _rescaled(Fleet.load(record.document["_fleet"]).target, given["DesiredWeightsAndCapacities"])
        _start_update(connection, call, record, dict(record.document), target)
        return record.arn

    arn = call.platform.stores.records.write(commit)
    call.platform.wake()
    return {"EndpointArn": arn}


def _rescaled(target: Target, wanted: list[Document]) -> Target:
    counts, weights = dict(target.counts), dict(target.weights)
    for each in wanted:
        name = each["VariantName"]
        if name not in counts:
            raise validation(f'Could not find variant "{name}" in the endpoint.')
        if each.get("DesiredInstanceCount", 1) < 1:
            raise validation(f'DesiredInstanceCount of variant "{name}" must be at least 1.')
        counts[name] = each.get("DesiredInstanceCount", counts[name])
        weights[name] = each.get("DesiredWeight", weights[name])
    return dataclasses.replace(target, counts=counts, weights=weights)


@OPERATIONS.handles("DeleteEndpoint")
def delete_endpoint(call: Call, given: Document) -> Document:
    now = call.platform.clock.now()

    def commit(connection: Connection) -> None:
        record = resources.require(connection, ENDPOINT, call, given["EndpointName"])
        _check_at_rest(record)
        resources.move(connection, ENDPOINT, record, record.document, now, "Deleting")

    call.platform.stores.records.write(commit)
    call.platform.wake()
    return {}


def _idle(connection: Connection, call: Call, name: str) -> Record:
    """The endpoint, if it can be updated now."""
    record = resources.require(connection, ENDPOINT, call, name)
    _check_at_rest(record)
    if record.status != "InService":
        raise validation(f'Cannot update endpoint "{record.arn}" in status {record.status}: it can only be deleted.')
    return record


def _check_at_rest(record: Record) -> None:
    if record.status in IN_PROGRESS:
        raise validation(f'Cannot update in-progress endpoint "{record.arn}".')


def _start_update(connection: Connection, call: Call, record: Record, document: Document, target: Target) -> None:
    now = call.platform.clock.now()
    fleet = dataclasses.replace(Fleet.load(document["_fleet"]), target=target, losses=0, resume_at=0.0)
    document.pop("FailureReason", None)
    policy = document.get("LastDeploymentConfig", {}).get("BlueGreenUpdatePolicy", {})
    fleet = dataclasses.replace(fleet, drain=max(Fleet(target).drain, float(policy.get("TerminationWaitInSeconds", 0))))
    document |= {"_fleet": fleet.dump(), "_since": now}
    resources.move(connection, ENDPOINT, record, document, now, "Updating")
