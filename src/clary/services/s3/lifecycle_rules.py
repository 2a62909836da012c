"""Lifecycle rules: what is one, which objects it is about, and when its actions fall due. Pure functions.

A rule is stored as the API has it, its dates as epoch seconds. Days are counted as S3 does: from the object's creation
(or from when another version took its place), and then up to the next midnight UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from clary.errors import ServiceError
from clary.services.s3 import faults, options
from clary.services.s3.index import Entry

Rule = Mapping[str, Any]
DAY = 86_400

_ACTIONS = (
    "Expiration",
    "Transitions",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransitions",
    "AbortIncompleteMultipartUpload",
)
_MOST_RULES = 1000
_LONGEST_ID = 255
_MOST_KEPT = 100
_MOST_DAYS = 1_000_000  # so that what falls due has a date: the calendar ends with the year 9999
_INFREQUENT = ("STANDARD_IA", "ONEZONE_IA")
_SMALLEST_MOVED = 128 * 1024  # bytes; smaller objects stay where they are, unless a rule says which sizes it is about


def check(rules: Sequence[Rule]) -> None:
    """Raises what S3 answers to a configuration that is none."""
    if not 1 <= len(rules) <= _MOST_RULES:
        raise faults.malformed_xml()
    named = [rule["ID"] for rule in rules if rule.get("ID")]
    for name in named:
        if len(name) > _LONGEST_ID:
            raise _invalid(f"ID length should not exceed allowed limit of {_LONGEST_ID}")
    if len(set(named)) != len(named):
        raise _invalid("Rule ID must be unique. Found same ID for more than one rule")
    for rule in rules:
        _check_filter(rule)
        _check_actions(rule)


def _check_filter(rule: Rule) -> None:
    if rule.get("Status") not in ("Enabled", "Disabled") or ("Prefix" in rule) == ("Filter" in rule):
        raise faults.malformed_xml()
    filtered: Mapping[str, Any] = rule.get("Filter") or {}
    if len(filtered) > 1 or ("And" in filtered and len(_parts(filtered["And"])) < 2):
        raise faults.malformed_xml()
    least, most = _sizes(rule)
    if least is not None and most is not None and least >= most:
        raise faults.invalid_request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
    tags = _tags(rule)
    if len({each["Key"] for each in tags}) != len(tags):
        raise faults.invalid_request("Duplicate Tag Keys are not allowed.")


def _parts(both: Mapping[str, Any]) -> list[Any]:
    return [*(both.get("Tags") or ()), *(name for name in both if name != "Tags")]


def _check_actions(rule: Rule) -> None:
    if not any(rule.get(action) for action in _ACTIONS):
        raise faults.invalid_request("At least one action needs to be specified in a rule")
    if "Expiration" in rule:
        _check_expiration(rule)
    for moved in rule.get("Transitions") or ():
        _check_transition(moved)
    if "NoncurrentVersionExpiration" in rule:
        _check_noncurrent(rule["NoncurrentVersionExpiration"], "NoncurrentVersionExpiration")
    for moved in rule.get("NoncurrentVersionTransitions") or ():
        _check_noncurrent(moved, "NoncurrentVersionTransition")
        _check_class(moved, "NoncurrentDays")
    if "AbortIncompleteMultipartUpload" in rule:
        if _tags(rule):
            raise faults.invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags.")
        days = rule["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation")
        _check_days(days, "DaysAfterInitiation", "AbortIncompleteMultipartUpload")


def _check_expiration(rule: Rule) -> None:
    expiration = rule["Expiration"]
    if len(expiration) != 1:
        raise faults.malformed_xml()
    if "Days" in expiration:
        _check_days(expiration["Days"], "Days", "Expiration")
    elif "Date" in expiration:
        _check_date(expiration["Date"])
    elif _tags(rule):
        raise faults.invalid_request("ExpiredObjectDeleteMarker cannot be specified with Tags.")


def _check_transition(moved: Rule) -> None:
    if ("Days" in moved) == ("Date" in moved):
        raise faults.malformed_xml()
    if "Date" in moved:
        _check_date(moved["Date"])
    elif moved["Days"] < 0:
        raise _invalid("'Days' in Transition action must be nonnegative")
    elif moved["Days"] > _MOST_DAYS:
        raise _invalid(f"'Days' in Transition action must be at most {_MOST_DAYS}")
    _check_class(moved, "Days")


def _check_class(moved: Rule, unit: str) -> None:
    name = options.storage_class(moved)
    if name in ("STANDARD", "REDUCED_REDUNDANCY"):
        raise faults.malformed_xml()
    if name in _INFREQUENT and unit in moved and moved[unit] < 30:
        raise _invalid(f"'{unit}' in Transition action must be greater than or equal to 30 for storageClass '{name}'")


def _check_noncurrent(action: Rule, name: str) -> None:
    _check_days(action.get("NoncurrentDays"), "NoncurrentDays", name)
    kept = action.get("NewerNoncurrentVersions")
    if kept is not None and not 1 <= kept <= _MOST_KEPT:
        raise _invalid(
            f"'NewerNoncurrentVersions' for {name} action must be a positive integer of at most {_MOST_KEPT}"
        )


def _check_days(days: Any, member: str, action: str) -> None:
    if days is None:
        raise faults.malformed_xml()
    if days <= 0:
        raise _invalid(f"'{member}' for {action} action must be a positive integer")
    if days > _MOST_DAYS:
        raise _invalid(f"'{member}' for {action} action must be a positive integer of at most {_MOST_DAYS}")


def _check_date(date: Any) -> None:
    if not isinstance(date, datetime) or date.timestamp() % DAY:
        raise _invalid("'Date' must be at midnight GMT")


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidArgument", message)


def prefix(rule: Rule) -> str:
    """Of the keys that the rule is about."""
    return str(rule.get("Prefix") or _conditions(rule).get("Prefix") or "")


def common_prefix(rules: Sequence[Rule]) -> bytes:
    """What all keys begin with that one of the rules is about."""
    prefixes = [prefix(rule).encode() for rule in rules]
    first, last = min(prefixes, default=b""), max(prefixes, default=b"")
    return bytes(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def _conditions(rule: Rule) -> Mapping[str, Any]:
    """Those of its filter, one or all of them together."""
    filtered: Mapping[str, Any] = rule.get("Filter") or {}
    both: Mapping[str, Any] = filtered.get("And") or filtered
    return both


def _sizes(rule: Rule) -> tuple[int | None, int | None]:
    """An object has to be (larger, smaller) than these, bytes."""
    conditions = _conditions(rule)
    return conditions.get("ObjectSizeGreaterThan"), conditions.get("ObjectSizeLessThan")


def _tags(rule: Rule) -> list[Mapping[str, str]]:
    conditions = _conditions(rule)
    return [conditions["Tag"]] if "Tag" in conditions else list(conditions.get("Tags") or ())


def is_about(rule: Rule, entry: Entry) -> bool:
    """Whether the rule is in force and its filter lets the object through."""
    least, most = _sizes(rule)
    return (
        rule["Status"] == "Enabled"
        and entry.key.startswith(prefix(rule).encode())
        and all(entry.tags.get(each["Key"]) == each["Value"] for each in _tags(rule))
        and (least is None or entry.size > least)
        and (most is None or entry.size < most)
    )


def due_after(begin: float, days: int) -> float:
    """The midnight UTC that ends the day in which `days` days after `begin` have passed."""
    return -(-(begin + days * DAY) // DAY) * DAY


def expiry(rule: Rule, entry: Entry) -> float | None:
    """When the rule, which is about it, expires the current object; None when it never does."""
    expiration = rule.get("Expiration") or {}
    if "Date" in expiration:
        return float(expiration["Date"])
    return due_after(entry.modified, expiration["Days"]) if "Days" in expiration else None


def upload_end(rule: Rule, key: bytes, started: float) -> float | None:
    """When an upload that is not completed is aborted."""
    days = (rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation")
    if days is None or rule["Status"] != "Enabled" or not key.startswith(prefix(rule).encode()):
        return None
    return due_after(started, days)


def transitions(rule: Rule, entry: Entry, small_too: bool) -> Iterator[tuple[float, str]]:
    """(when, storage class) of the current object. `small_too`: objects below 128 KiB move as well."""
    if not (small_too or _moves(rule, entry)):
        return
    for moved in rule.get("Transitions") or ():
        yield moved["Date"] if "Date" in moved else due_after(entry.modified, moved["Days"]), moved["StorageClass"]


def noncurrent_transitions(
    rule: Rule, entry: Entry, since: float, newer: int, small_too: bool
) -> Iterator[tuple[float, str]]:
    if not (small_too or _moves(rule, entry)):
        return
    for moved in rule.get("NoncurrentVersionTransitions") or ():
        if newer >= moved.get("NewerNoncurrentVersions", 0):
            yield due_after(since, moved["NoncurrentDays"]), moved["StorageClass"]


def noncurrent_expiry(rule: Rule, since: float, newer: int) -> float | None:
    """When a version that is not current since then, and has that many such before it, goes for good."""
    action = rule.get("NoncurrentVersionExpiration")
    if not action or newer < action.get("NewerNoncurrentVersions", 0):
        return None
    return due_after(since, action["NoncurrentDays"])


def _moves(rule: Rule, entry: Entry) -> bool:
    return _sizes(rule) != (None, None) or entry.size >= _SMALLEST_MOVED
