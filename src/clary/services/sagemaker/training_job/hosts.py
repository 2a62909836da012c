"""A training job's hosts: algo-1, algo-2 ..., alike or in instance groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clary.contract.instance import HostGroup
from clary.errors import validation
from clary.services.operation import Document
from clary.services.sagemaker import checks

_ONLY_GROUP = "homogeneousCluster"
_MOST = 100  # on one machine


def completed(config: Document) -> Document:
    """A ResourceConfig with its defaults. Raises ValidationException."""
    if config.get("InstanceGroups"):
        _check_groups(config)
    else:
        config = {**config, "InstanceCount": config.get("InstanceCount", 1)}
        if not config.get("InstanceType"):
            raise validation("ResourceConfig must name an InstanceType.")
    for each in _given(config):
        checks.instance_type(each["InstanceType"])
        if each["InstanceCount"] < 1:
            raise validation("InstanceCount must be at least 1.")
    if count(config) > _MOST:
        raise validation(f"A training job has at most {_MOST} instances here, not {count(config)}.")
    return config


def _check_groups(config: Document) -> None:
    for member in ("InstanceType", "InstanceCount"):
        if member in config:
            raise validation(f"ResourceConfig has either InstanceGroups or {member}, not both.")
    names = [each["InstanceGroupName"] for each in config["InstanceGroups"]]
    if len(set(names)) != len(names):
        raise validation("Instance group names must be unique within InstanceGroups.")


def check_channels(channels: Sequence[Document], config: Document) -> None:
    """Raises ValidationException for a channel of a group that is not there."""
    known = {each.get("InstanceGroupName") for each in config.get("InstanceGroups") or ()}
    for each in channels:
        for name in each["DataSource"]["S3DataSource"].get("InstanceGroupNames") or ():
            if name not in known:
                raise validation(f"Channel {each['ChannelName']} names an instance group {name} that is not there.")


def groups(config: Document) -> tuple[HostGroup, ...]:
    """Of a complete ResourceConfig; hosts are numbered through all groups, in their order."""
    found: list[HostGroup] = []
    for each in _given(config):
        begin = 1 + sum(len(group.hosts) for group in found)
        hosts = tuple(f"algo-{n}" for n in range(begin, begin + each["InstanceCount"]))
        found.append(HostGroup(each.get("InstanceGroupName", _ONLY_GROUP), each["InstanceType"], hosts))
    return tuple(found)


def names(of: Iterable[HostGroup]) -> tuple[str, ...]:
    """The hosts of these groups, in the order of their numbers."""
    return tuple(host for each in of for host in each.hosts)


def count(config: Document) -> int:
    """How many instances a complete ResourceConfig asks for."""
    return sum(each["InstanceCount"] for each in _given(config))


def _given(config: Document) -> list[Document]:
    return config.get("InstanceGroups") or [config]
