"""What the operations of SageMaker ask for: the action is the operation, the resource what it names; a role that a
resource is to act as has to be passed (iam:PassRole), tags have to be added."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from clary.arns import PARTITION, Arn
from clary.errors import validation
from clary.services.access.context import Keys, Later, of_tags
from clary.services.access.wanted import Wanted, tags_of
from clary.services.operation import Call, Document

SERVICE = "sagemaker.amazonaws.com"

_VERB = re.compile(r"(Create|Describe|Update|Delete|Stop|Start|Register|Deregister|Get|Put|Invoke)([A-Z].*)")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TYPES = {"AutoMLJob": "automl-job", "AutoMLJobV2": "automl-job", "EndpointWeightsAndCapacities": "endpoint"}
_ROLES = ("RoleArn", "ExecutionRoleArn")
_ALSO = {"CreateEndpoint": ("EndpointConfig",), "UpdateEndpoint": ("EndpointConfig",)}


def wanted(call: Call, given: Document) -> Iterator[Wanted]:
    operation, keys = call.operation, Later(lambda: context(given))
    resource = _resource(call, given)
    yield Wanted(f"sagemaker:{operation}", resource, keys)
    for noun in _ALSO.get(operation, ()):
        yield Wanted(f"sagemaker:{operation}", _arn(call, _type(noun), given[f"{noun}Name"]), keys)
    if operation.startswith("Create") and given.get("Tags"):
        yield Wanted("sagemaker:AddTags", resource, keys)
    for role in roles(given):
        if role.split(":", 5)[4:5] != [call.account]:
            raise validation("Cross-account pass role is not allowed.")
        passed = {"iam:passedtoservice": (SERVICE,), "iam:associatedresourcearn": (resource,)}
        yield Wanted("iam:PassRole", role, passed)


def invoked(account: str, region: str, endpoint: str) -> Wanted:
    """What InvokeEndpoint asks for."""
    return Wanted("sagemaker:InvokeEndpoint", str(Arn("sagemaker", region, account, f"endpoint/{endpoint}")))


def roles(given: Mapping[str, Any]) -> Iterator[str]:
    """The roles that a request passes to SageMaker, wherever in it they stand."""
    for name, value in given.items():
        if name in _ROLES and isinstance(value, str):
            yield value
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, Mapping):
                yield from roles(each)


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


def context(given: Mapping[str, Any]) -> Keys:
    """SageMaker's condition keys."""
    found = of_tags(tags_of(given.get("Tags")))
    if given.get("TagKeys"):
        found["aws:tagkeys"] = tuple(given["TagKeys"])
    resources = [given.get("ResourceConfig") or {}, *(given.get("ProductionVariants") or ())]
    types = {str(each["InstanceType"]) for each in resources if each.get("InstanceType")}
    single: dict[str, object] = {
        "sagemaker:volumekmskey": (given.get("ResourceConfig") or given).get("VolumeKmsKeyId") or given.get("KmsKeyId"),
        "sagemaker:outputkmskey": (given.get("OutputDataConfig") or {}).get("KmsKeyId"),
        "sagemaker:maxruntimeinseconds": (given.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds"),
        "sagemaker:networkisolation": given.get("EnableNetworkIsolation"),
        "sagemaker:intercontainertrafficencryption": given.get("EnableInterContainerTrafficEncryption"),
    }
    if types:
        found["sagemaker:instancetypes"] = tuple(sorted(types))
    found |= {
        key: (str(value).lower() if isinstance(value, bool) else str(value),)
        for key, value in single.items()
        if value is not None
    }
    return found
