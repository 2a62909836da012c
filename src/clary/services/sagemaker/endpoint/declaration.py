"""Endpoint as a resource: names, errors, statuses, and what Describe makes of its fleet."""

from __future__ import annotations

from typing import Any

from clary.services.operation import Document
from clary.services.resources import Resource, public
from clary.services.sagemaker.model import container
from clary.serving.membership import Fleet, Target
from clary.store.records import Record

IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
RECONCILED = ("Creating", "Updating", "RollingBack", "InService", "Deleting")


def _view(record: Record) -> Document:
    fleet = Fleet.load(record.document["_fleet"])
    shown = public(record)
    shown["ProductionVariants"] = [_variant(fleet, record, name) for name in (fleet.serving or fleet.target).counts]
    if record.status in ("Creating", "Updating", "RollingBack"):
        shown["PendingDeploymentSummary"] = _pending(fleet, record)
    return shown


def _variant(fleet: Fleet, record: Record, name: str) -> Document:
    serves = fleet.serving or fleet.target
    wanted = fleet.target if name in fleet.target.counts else serves
    shown: Document = {
        "VariantName": name,
        "DeployedImages": [_image(serves, name)],
        "DesiredWeight": wanted.weights[name],
        "DesiredInstanceCount": wanted.counts[name],
        "CurrentInstanceCount": sum(each.healthy for each in fleet.of(serves, name)),
    }
    if fleet.serving is not None:
        shown["CurrentWeight"] = fleet.serving.weights[name]
    return shown


def _pending(fleet: Fleet, record: Record) -> Document:
    state = "Creating" if fleet.serving is None else "Updating"
    variants: list[dict[str, Any]] = [
        {
            "VariantName": name,
            "DeployedImages": [_image(fleet.target, name)],
            "DesiredWeight": fleet.target.weights[name],
            "DesiredInstanceCount": count,
            "CurrentInstanceCount": sum(each.healthy for each in fleet.of(fleet.target, name)),
            "VariantStatus": [{"Status": state, "StartTime": record.document["_since"]}],
        }
        for name, count in fleet.target.counts.items()
    ]
    return {
        "EndpointConfigName": fleet.target.config["EndpointConfigName"],
        "ProductionVariants": variants,
        "StartTime": record.document["_since"],
    }


def _image(target: Target, variant: str) -> Document:
    """What it is resolved to is known once the first instance is wanted."""
    uri = container(target.models[target.variant(variant)["ModelName"]])["Image"]
    known = target.images.get(variant, {})
    return {"SpecifiedImage": uri, **{name: value for name, value in known.items() if name != "Pin"}}


ENDPOINT = Resource(
    kind="endpoint",
    noun="Endpoint",
    plural="Endpoints",
    listing="Endpoints",
    summary=("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"),
    missing='Could not find endpoint "{arn}".',
    taken='Cannot create already existing endpoint "{arn}".',
    edges={
        "Creating": frozenset({"InService", "Failed"}),
        "InService": frozenset({"Updating", "Deleting"}),
        "Updating": frozenset({"InService", "RollingBack"}),
        "RollingBack": frozenset({"InService"}),
        "Failed": frozenset({"Deleting"}),
    },
    shows_modified=True,
    view=_view,
)
