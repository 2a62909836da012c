"""What a subscription can be set to: the names, and which values are good."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clary.services.operation import Document
from clary.services.sns import delivery_policies, faults, filter_policies

BODY, ATTRIBUTES = "MessageBody", "MessageAttributes"

_NOT_BUILT = ("RedrivePolicy", "ReplayPolicy", "ReplayStatus", "SubscriptionRoleArn")


def of_new(given: Mapping[str, str], protocol: str) -> Document:
    """The attributes of Subscribe as they are stored. Raises InvalidParameter, FilterPolicyLimitExceeded."""
    scope, found = given.get("FilterPolicyScope", ATTRIBUTES), Document()
    for name, value in given.items():
        if name not in _CHECKS and name not in _NOT_BUILT:
            raise faults.invalid(f"Attributes Reason: Unknown attribute {name}")
        found |= changed(name, value, protocol, scope, "Attributes Reason: ")
    return {name: value for name, value in found.items() if value is not None}


def changed(name: str, value: str, protocol: str, scope: str, where: str = "") -> Document:
    """An attribute as it is stored, None where that takes it away. `scope` is that of the filter policy, `where` stands
    before a refusal's reason."""
    for refused in _NOT_BUILT:
        if name == refused and value:
            raise faults.not_built("SetSubscriptionAttributes", refused)
    if name in _NOT_BUILT:
        return {name: None}
    if name not in _CHECKS:
        raise faults.invalid("AttributeName")
    if name == "FilterPolicy":
        return {name: filter_policies.checked(value, scope == BODY, where)}
    return {name: _CHECKS[name](value, protocol, where)}


def _raw(value: str, protocol: str, where: str) -> str:
    if value not in ("true", "false"):
        raise faults.invalid(f"{where}RawMessageDelivery: Invalid value [{value}]. Must be true or false.")
    if value == "true" and protocol.startswith("email"):
        raise faults.invalid(f"{where}RawMessageDelivery: Unsupported protocol {protocol}")
    return value


def _scope(value: str, _protocol: str, where: str) -> str:
    if value not in (BODY, ATTRIBUTES):
        message = f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
        raise faults.invalid(f"{where}{message}")
    return value


def _delivery(value: str, protocol: str, where: str) -> str | None:
    if value and not protocol.startswith("http"):
        raise faults.invalid(f"{where}Delivery Policy: not supported for protocol {protocol}")
    return delivery_policies.checked_of_subscription(value)


def _filter(value: str, _protocol: str, where: str) -> str | None:
    return filter_policies.checked(value, False, where)


_CHECKS: Mapping[str, Callable[[str, str, str], str | None]] = {
    "RawMessageDelivery": _raw,
    "FilterPolicyScope": _scope,
    "DeliveryPolicy": _delivery,
    "FilterPolicy": _filter,
}
