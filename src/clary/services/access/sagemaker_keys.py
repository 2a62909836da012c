"""SageMaker's condition keys that requests give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clary.arns import Arn
from clary.services.access.context import Keys, of_tags
from clary.services.access.wanted import tags_of
from clary.services.operation import Call

_FILE_SYSTEM = "InputDataConfig.DataSource.FileSystemDataSource"
_SERVERLESS = "ProductionVariants.ServerlessConfig"
# Where in requests the values of a key stand; of a list on the way, in each of its items.
_PLACES: Mapping[str, tuple[str, ...]] = {
    "acceleratortypes": ("ProductionVariants.AcceleratorType", "ShadowProductionVariants.AcceleratorType"),
    "enableremotedebug": ("RemoteDebugConfig.EnableRemoteDebug",),
    "filesystemaccessmode": (f"{_FILE_SYSTEM}.FileSystemAccessMode",),
    "filesystemdirectorypath": (f"{_FILE_SYSTEM}.DirectoryPath",),
    "filesystemid": (f"{_FILE_SYSTEM}.FileSystemId",),
    "filesystemtype": (f"{_FILE_SYSTEM}.FileSystemType",),
    "instancetypes": (
        *("ResourceConfig.InstanceType", "ResourceConfig.InstanceGroups.InstanceType"),
        *("ProductionVariants.InstanceType", "ShadowProductionVariants.InstanceType"),
    ),
    "intercontainertrafficencryption": ("EnableInterContainerTrafficEncryption",),
    "keepaliveperiod": ("ResourceConfig.KeepAlivePeriodInSeconds",),
    "maxruntimeinseconds": ("StoppingCondition.MaxRuntimeInSeconds",),
    "networkisolation": ("EnableNetworkIsolation",),
    "outputkmskey": ("OutputDataConfig.KmsKeyId",),
    "serverlessmaxconcurrency": (f"{_SERVERLESS}.MaxConcurrency",),
    "serverlessmemorysize": (f"{_SERVERLESS}.MemorySizeInMB",),
    "volumekmskey": ("ResourceConfig.VolumeKmsKeyId", "KmsKeyId"),
    "vpcsecuritygroupids": ("VpcConfig.SecurityGroupIds",),
    "vpcsubnets": ("VpcConfig.Subnets",),
}
_MODELS = ("ProductionVariants.ModelName", "ShadowProductionVariants.ModelName")


def context(call: Call, given: Mapping[str, Any]) -> Keys:
    """What the request does not say is not there."""
    found = of_tags(tags_of(given.get("Tags")))
    if given.get("TagKeys"):
        found["aws:tagkeys"] = tuple(given["TagKeys"])
    for key, places in _PLACES.items():
        told = {_text(value) for place in places for value in values(given, place.split("."))}
        if told:
            found[f"sagemaker:{key}"] = tuple(sorted(told))
    models = {str(name) for place in _MODELS for name in values(given, place.split("."))}
    if models:
        arns = (str(Arn("sagemaker", call.region, call.account, f"model/{name}")) for name in sorted(models))
        found["sagemaker:modelarn"] = tuple(arns)
    return found


def values(given: Any, path: list[str]) -> Iterator[Any]:
    """What stands in a request at the end of a way of members; of a list on the way, in each of its items."""
    if isinstance(given, list):
        for each in given:
            yield from values(each, path)
    elif not path:
        yield given
    elif isinstance(given, Mapping) and given.get(path[0]) is not None:
        yield from values(given[path[0]], path[1:])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
