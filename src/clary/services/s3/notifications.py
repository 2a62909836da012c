"""What a bucket tells of: its configuration of notifications, and which events a rule of it is about.

A rule is a TopicConfiguration, kept as its operation gave it, with an Id.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from clary.arns import Arn
from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, configuration, event_topics, faults, options
from clary.services.s3.index import Bucket

operations = Operations()

NAME = "Notification"

Rule = Mapping[str, Any]

_MOST, _LONGEST_ID, _LONGEST_VALUE = 100, 255, 1024
_REFUSED = ("QueueConfigurations", "LambdaFunctionConfigurations", "EventBridgeConfiguration")
# What AWS knows; of these that no bucket here will ever tell, nothing of the kind can happen to it.
EVENTS: Mapping[str, Sequence[str]] = {
    "ObjectCreated": ("Put", "Post", "Copy", "CompleteMultipartUpload"),
    "ObjectRemoved": ("Delete", "DeleteMarkerCreated"),
    "ObjectTagging": ("Put", "Delete"),
    "ObjectAcl": ("Put",),
    "ObjectRestore": ("Post", "Completed", "Delete"),
    "LifecycleExpiration": ("Delete", "DeleteMarkerCreated"),
    "LifecycleTransition": (),
    "ReducedRedundancyLostObject": (),
    "IntelligentTiering": (),
    "Replication": (
        *("OperationFailedReplication", "OperationMissedThreshold", "OperationReplicatedAfterThreshold"),
        "OperationNotTracked",
    ),
}
_FORM = re.compile(r"s3:([A-Za-z]+)(?::([A-Za-z]+|\*))?", re.ASCII)


@operations.handles("GetBucketNotificationConfiguration")
@options.understands()
def get_bucket_notification_configuration(call: Call, given: Document) -> Document:
    rules = configuration.get(call, given, NAME)
    return {"TopicConfigurations": rules} if rules else {}


@operations.handles("PutBucketNotificationConfiguration")
@options.understands("NotificationConfiguration", "SkipDestinationValidation")
def put_bucket_notification_configuration(call: Call, given: Document) -> Document:
    bucket = call.platform.stores.objects.read(lambda connection: access.enter(connection, call, given))
    wanted = given.get("NotificationConfiguration") or {}
    for member in _REFUSED:
        if wanted.get(member) or (member == "EventBridgeConfiguration" and member in wanted):
            raise faults.not_implemented(f"NotificationConfiguration.{member}")
    rules = _checked(wanted.get("TopicConfigurations") or [], bucket)
    if not rules:
        configuration.delete(call, given, NAME)
        return {}
    topics = list(dict.fromkeys(rule["TopicArn"] for rule in rules))
    if not given.get("SkipDestinationValidation"):
        event_topics.check(call.platform, bucket, topics)
    event_topics.send_test(call, bucket, topics)
    configuration.put(call, given, NAME, rules)
    return {}


def _checked(given: Sequence[Rule], bucket: Bucket) -> list[Document]:
    """The rules as they are stored. Raises InvalidArgument, MalformedXML."""
    if len(given) > _MOST:
        raise _invalid(f"A bucket can have at most {_MOST} notification configurations", "Configuration", len(given))
    rules = [{**rule, "Id": rule.get("Id") or secrets.token_urlsafe(36)} for rule in given]
    for rule in rules:
        _check_rule(rule, bucket)
    if len({rule["Id"] for rule in rules}) != len(rules):
        raise _invalid("Configuration ids must be unique", "Id", rules[0]["Id"])
    for one, other in combinations(rules, 2):
        _check_apart(one, other)
    return rules


def _check_rule(rule: Document, bucket: Bucket) -> None:
    if len(rule["Id"]) > _LONGEST_ID:
        raise _invalid("The configuration id is too long", "Id", rule["Id"])
    _check_topic(rule["TopicArn"], bucket)
    if not rule.get("Events"):
        raise faults.malformed_xml()
    for event in rule["Events"]:
        if not _is_event(event):
            raise _invalid("A specified event is not supported for notifications.", "Event", event)
    found = _filter_rules(rule)
    for each in found:
        if each.get("Name") is None or each.get("Value") is None:
            raise faults.malformed_xml()
        each["Name"] = each["Name"].capitalize()
        if each["Name"] not in ("Prefix", "Suffix"):
            message = "filter rule name must be either prefix or suffix"
            raise _invalid(message, "FilterRule.Name", each["Name"])
        if len(each["Value"].encode()) > _LONGEST_VALUE:
            raise _invalid("Size of filter rule value cannot exceed 1024 bytes", "FilterRule.Value", each["Value"])
    names = [each["Name"] for each in found]
    for name in set(names):
        if names.count(name) > 1:
            message = f"Cannot specify more than one {name.lower()} rule in a filter."
            raise _invalid(message, "FilterRule.Name", name.lower())


def _check_topic(text: str, bucket: Bucket) -> None:
    try:
        arn = Arn.parse(text)
    except ValueError:
        raise _invalid("The ARN could not be parsed", "Topic", text) from None
    if arn.service != "sns":
        raise _invalid("The ARN could not be parsed", "Topic", text)
    if arn.region != bucket.region:
        message = "The notification destination service region is not valid for the bucket location constraint"
        raise _invalid(message, text, "null")


def _is_event(text: str) -> bool:
    found = _FORM.fullmatch(text)
    if found is None or found[1] not in EVENTS:
        return False
    kinds = EVENTS[found[1]]
    return found[2] in (*kinds, "*") if kinds else found[2] is None or found[1] == "IntelligentTiering"


def _filter_rules(rule: Rule) -> list[Document]:
    found: list[Document] = ((rule.get("Filter") or {}).get("Key") or {}).get("FilterRules") or []
    return found


def _check_apart(one: Rule, other: Rule) -> None:
    """Raises InvalidArgument for two that an event could both be about."""
    if not set(_names(one["Events"])) & set(_names(other["Events"])):
        return
    (prefix, suffix), (other_prefix, other_suffix) = _ends(one), _ends(other)
    if not (prefix.startswith(other_prefix) or other_prefix.startswith(prefix)):
        return
    if not (suffix.endswith(other_suffix) or other_suffix.endswith(suffix)):
        return
    if not any((prefix, suffix, other_prefix, other_suffix)):
        message = "Configurations overlap. Configurations on the same bucket cannot share a common event type."
        raise _invalid(message, "Event", one["Events"][0])
    raise _invalid(
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
        "overlapping for the same event type.",
        "FilterRule",
        prefix or suffix,
    )


def _names(events: Sequence[str]) -> list[str]:
    """Each kind of events that is meant, without `s3:`."""
    found = []
    for event in events:
        head, _, kind = event.removeprefix("s3:").partition(":")
        found += [f"{head}:{each}" for each in EVENTS[head]] if kind == "*" and EVENTS[head] else [f"{head}:{kind}"]
    return found


def _ends(rule: Rule) -> tuple[str, str]:
    """(prefix, suffix) of the keys that it is about."""
    named = {each["Name"]: each["Value"] for each in _filter_rules(rule)}
    return named.get("Prefix", ""), named.get("Suffix", "")


def about(rules: Sequence[Rule], event: str, key: str) -> list[Rule]:
    """The rules that want to tell of an event, such as "ObjectCreated:Put"."""
    head = event.partition(":")[0]
    names = {f"s3:{event}", f"s3:{head}:*", f"s3:{head}" if ":" not in event else ""}
    found = []
    for rule in rules:
        prefix, suffix = _ends(rule)
        if names.intersection(rule["Events"]) and key.startswith(prefix) and key.endswith(suffix):
            found.append(rule)
    return found


def _invalid(message: str, name: str, value: object) -> ServiceError:
    return faults.invalid_argument(message, name, value)
