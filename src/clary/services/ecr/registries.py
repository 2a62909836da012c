"""What an account's registry in a region is set to: its policy, and settings of the account."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import registries
from clary.registry.registries import Registry
from clary.services.ecr import faults, finding, policy_texts
from clary.services.operation import Call, Document, Operations

operations = Operations()

MOUNTING = "BLOB_MOUNTING"


class _Setting(NamedTuple):
    """`usual` is its value at first; of `refused` values it is said why."""

    usual: str
    values: tuple[str, ...]
    refused: Mapping[str, str]


_SETTINGS = {
    MOUNTING: _Setting("ENABLED", ("ENABLED", "DISABLED"), {}),
    "REGISTRY_POLICY_SCOPE": _Setting("V2", ("V2",), {"V1": "A registry's policy is about all actions of ECR."}),
    "BASIC_SCAN_TYPE_VERSION": _Setting("AWS_NATIVE", ("AWS_NATIVE",), {"CLAIR": "Images are not scanned."}),
}


@operations.handles("GetAccountSetting")
def get_account_setting(call: Call, given: Document) -> Document:
    name = given["name"]
    usual = _setting(name).usual
    return {"name": name, "value": of(call).settings.get(name, usual)}


@operations.handles("PutAccountSetting")
def put_account_setting(call: Call, given: Document) -> Document:
    name, value = given["name"], given["value"]
    setting = _setting(name)
    if value in setting.refused:
        raise faults.not_built(call.operation, f"value {value}", why=setting.refused[value])
    if value not in setting.values:
        raise faults.invalid("value", f"The values of {name} are {', '.join(setting.values)}")
    change(call, lambda found: dataclasses.replace(found, settings={**found.settings, name: value}))
    return {"name": name, "value": value}


def _setting(name: str) -> _Setting:
    if name not in _SETTINGS:
        raise faults.invalid("name", f"The settings are {', '.join(_SETTINGS)}")
    return _SETTINGS[name]


def may_mount(connection: Connection, account: str, region: str) -> bool:
    """Whether layers of one repository may be made another's without being sent."""
    settings = registries.find(connection, account, region).settings
    return settings.get(MOUNTING, _SETTINGS[MOUNTING].usual) == "ENABLED"


@operations.handles("PutRegistryPolicy")
def put_registry_policy(call: Call, given: Document) -> Document:
    text = given["policyText"]
    stored = policy_texts.of_registry(call, text)
    change(call, lambda found: dataclasses.replace(found, policy=stored))
    return {"registryId": call.account, "policyText": text}


@operations.handles("GetRegistryPolicy")
def get_registry_policy(call: Call, given: Document) -> Document:
    return _told(call, of(call))


@operations.handles("DeleteRegistryPolicy")
def delete_registry_policy(call: Call, given: Document) -> Document:
    before = change(call, lambda found: dataclasses.replace(_with_policy(found), policy=None))
    return _told(call, before)


def _with_policy(registry: Registry) -> Registry:
    if registry.policy is None:
        message = f"Registry policy does not exist in the registry with id '{registry.account}'"
        raise ServiceError("RegistryPolicyNotFoundException", message)
    return registry


def _told(call: Call, registry: Registry) -> Document:
    stored = _with_policy(registry).policy or ""
    return {"registryId": registry.account, "policyText": policy_texts.told(call, stored)}


@operations.handles("DescribeRegistry")
def describe_registry(call: Call, given: Document) -> Document:
    found = of(call)
    return {"registryId": found.account, "replicationConfiguration": {"rules": found.replication}}


def of(call: Call) -> Registry:
    """The caller's own, in the region of the request."""
    return finding.read(call, lambda connection: registries.find(connection, call.account, call.region))


def change(call: Call, changed: Callable[[Registry], Registry]) -> Registry:
    """Sets the caller's registry to what `changed` makes of it; it as it was before."""

    def work(connection: Connection) -> Registry:
        before = registries.find(connection, call.account, call.region)
        registries.change(connection, changed(before))
        return before

    return finding.write(call, work)
