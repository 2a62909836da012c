"""What the operations of SageMaker ask for: the action is the operation, the resource what it names; a role that a
resource is to act as has to be passed (iam:PassRole), tags have to be added."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clary.arns import PARTITION, Arn
from clary.errors import validation
from clary.services.access import iam
from clary.services.access.context import Keys, Later, Tagged
from clary.services.access.sagemaker_keys import context, values
from clary.services.access.wanted import Wanted
from clary.services.operation import Call, Document
from clary.services.tagging import of
from clary.store.engine import Database

SERVICE = "sagemaker.amazonaws.com"

_VERB = re.compile(r"(Create|Describe|Update|Delete|Stop|Start|Register|Deregister|Get|Put|Invoke)([A-Z].*)")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TYPES = {"AutoMLJob": "automl-job", "AutoMLJobV2": "automl-job", "EndpointWeightsAndCapacities": "endpoint"}
_EMR = "CanvasAppSettings.EmrServerlessSettings.ExecutionRoleArn"
# Where in requests the roles stand that they pass; a test holds it to the model. What users name themselves
# (hyperparameters, variables of an environment) is no role, whatever it is called.
ROLES = (
    *("RoleArn", "ExecutionRoleArn", "TrainingJobDefinition.RoleArn", "TrainingJobDefinitions.RoleArn"),
    *(
        "MonitoringScheduleConfig.MonitoringJobDefinition.RoleArn",
        f"UserSettings.{_EMR}",
        f"DefaultUserSettings.{_EMR}",
    ),
)
_ALSO = {"CreateEndpoint": ("EndpointConfig",), "UpdateEndpoint": ("EndpointConfig",)}


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    operation, resource, records = call.operation, _resource(call, given), call.platform.stores.records
    keys = _Keys(lambda: context(call, given), records, resource)
    yield Wanted(f"sagemaker:{operation}", resource, keys)
    for noun in _ALSO.get(operation, ()):
        other = _arn(call, _type(noun), given[f"{noun}Name"])
        yield Wanted(f"sagemaker:{operation}", other, _Keys(lambda: context(call, given), records, other))
    if operation.startswith("Create") and given.get("Tags"):
        tagging = Later(lambda: {**context(call, given), "sagemaker:taggingaction": (operation,)})
        yield Wanted("sagemaker:AddTags", resource, tagging)
    for role in roles(given):
        if role.split(":", 5)[4:5] != [call.account]:
            raise validation("Cross-account pass role is not allowed.")
        yield iam.passing(SERVICE, role, call, **{"iam:associatedresourcearn": (resource,)})


def invoked(records: Database, account: str, region: str, endpoint: str, target: str | None) -> Wanted:
    """What InvokeEndpoint asks for; `target` is the model that it wants of several."""
    resource = str(Arn("sagemaker", region, account, f"endpoint/{endpoint}"))
    keys: Keys = {"sagemaker:targetmodel": (target,)} if target else {}
    return Wanted("sagemaker:InvokeEndpoint", resource, _Keys(lambda: keys, records, resource))


class _Keys(Tagged):
    """Of a request that is about `resource`, an ARN or "*"."""

    __slots__ = ()

    def __init__(self, make: Callable[[], Keys], records: Database, resource: str) -> None:
        super().__init__("sagemaker", make, lambda: records.read(lambda connection: of(connection, resource)))


def roles(given: Mapping[str, Any]) -> Iterator[str]:
    """The roles that a request passes to SageMaker."""
    for place in ROLES:
        yield from values(given, place.split("."))


def _resource(call: Call, given: Document) -> str:
    if "ResourceArn" in given:
        return str(given["ResourceArn"])
    for arn, name, kind in _members(call.operation):
        if isinstance(given.get(arn), str):
            return str(given[arn])
        if isinstance(given.get(name), str):
            found = str(given[name])
            return found if found.startswith("arn:") else _arn(call, kind, found)
    return "*"


@functools.cache  # of the few hundred operations that the model has
def _members(operation: str) -> tuple[tuple[str, str, str], ...]:
    """What of a request may name the operation's resource: members with its ARN and its name, and the type that it has
    in ARNs then."""
    found = _VERB.fullmatch(operation)
    if found is None:
        return ()
    stems = dict.fromkeys((found[2], found[2].removesuffix("V2"), found[2].removesuffix("WeightsAndCapacities")))
    return tuple((f"{stem}Arn", f"{stem}Name", _type(stem)) for stem in stems)


def _type(noun: str) -> str:
    return _TYPES.get(noun) or _WORD.sub("-", noun).lower()


def _arn(call: Call, kind: str, name: str) -> str:
    return f"arn:{PARTITION}:sagemaker:{call.region}:{call.account}:{kind}/{name}"
