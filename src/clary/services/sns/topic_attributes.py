"""What a topic can be set to: the names, and which values are good."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clary.services.operation import Document
from clary.services.sns import delivery_policies, faults, topic_policies

DEFAULTS: Mapping[str, str] = {"DisplayName": "", "SignatureVersion": "1", "TracingConfig": "PassThrough"}
DEFAULTS_SHOWN: Mapping[str, str] = {"DisplayName": ""}

_LONGEST_NAME = 100
_FEEDBACK = tuple(
    f"{protocol}{what}"
    for protocol in ("HTTP", "Firehose", "Lambda", "Application", "SQS")
    for what in ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
)
_NOT_BUILT = ("KmsMasterKeyId", "ArchivePolicy", *_FEEDBACK)


def of_new(given: Mapping[str, str]) -> Document:
    """The attributes of CreateTopic as they are stored. Raises InvalidParameter."""
    found: Document = {}
    for name, value in given.items():
        if name == "FifoTopic":
            if value != "false":
                raise faults.not_built("CreateTopic", "FIFO topics")
            continue
        found |= changed(name, value)
    return {name: value for name, value in found.items() if value is not None}


def changed(name: str, value: str) -> Document:
    """An attribute as it is stored, None where that takes it away. Raises InvalidParameter."""
    check = _CHECKS.get(name)
    if check is not None:
        return {name: check(value)}
    for refused in _NOT_BUILT:
        if name == refused and value:
            raise faults.not_built("SetTopicAttributes", refused)
    if name in _NOT_BUILT:
        return {name: None}
    raise faults.invalid("AttributeName")


def _display_name(value: str) -> str:
    if len(value) > _LONGEST_NAME or not value.isprintable():
        raise faults.invalid("DisplayName")
    return value


def _signature_version(value: str) -> str:
    if value not in ("1", "2"):
        raise faults.invalid("SignatureVersion")
    return value


def _tracing(value: str) -> str:
    if value == "Active":
        raise faults.not_built("SetTopicAttributes", "TracingConfig Active")
    if value != "PassThrough":
        raise faults.invalid("TracingConfig")
    return value


_CHECKS: Mapping[str, Callable[[str], str | None]] = {
    "DisplayName": _display_name,
    "DeliveryPolicy": delivery_policies.checked_of_topic,
    "Policy": topic_policies.checked,
    "SignatureVersion": _signature_version,
    "TracingConfig": _tracing,
}
