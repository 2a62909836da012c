"""Delivery policies: how often, and how far apart, a delivery that failed is tried again; what it says it is.

A topic's policy is {"http": {"defaultHealthyRetryPolicy", "disableSubscriptionOverrides", "defaultRequestPolicy"}}, a
subscription's {"healthyRetryPolicy", "requestPolicy"}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clary.services.operation import Document
from clary.services.sns import faults

RETRIES: Mapping[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
CONTENT_TYPE = "text/plain; charset=UTF-8"
# What AWS does with mail, which has no policy that could be set.
OF_MAIL: Mapping[str, Any] = {
    "minDelayTarget": 10,
    "maxDelayTarget": 600,
    "numRetries": 50,
    "numMaxDelayRetries": 38,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 2,
    "backoffFunction": "exponential",
}

_NOT_BUILT = ("throttlePolicy", "defaultThrottlePolicy", "sicklyRetryPolicy", "defaultSicklyRetryPolicy")
_MOST_RETRIES, _LONGEST_DELAY = 100, 3600
_COUNTS = ("numRetries", "numMaxDelayRetries", "numNoDelayRetries", "numMinDelayRetries")
_DELAYS = ("minDelayTarget", "maxDelayTarget")
_TYPES = ("application/json", "application/xml", "text/csv", "text/html", "text/plain")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What holds for one subscription. `retries` has the members of RETRIES; times are seconds."""

    retries: Mapping[str, Any]
    content_type: str

    def wait(self, failures: int) -> float | None:
        """Seconds until the next attempt, after so many that failed; None when there is none."""
        given = self.retries
        before, low = given["numNoDelayRetries"], given["numMinDelayRetries"]
        if failures > given["numRetries"]:
            return None
        if failures <= before:
            return 0.0
        if failures <= before + low:
            return float(given["minDelayTarget"])
        between = given["numRetries"] - before - low - given["numMaxDelayRetries"]
        at = failures - before - low
        if at > between:
            return float(given["maxDelayTarget"])
        share = _BACK_OFFS[given["backoffFunction"]](at, max(between, 1))
        return float(given["minDelayTarget"] + share * (given["maxDelayTarget"] - given["minDelayTarget"]))


# The share of the way from the least delay to the longest, at the n-th of m retries.
_BACK_OFFS: Mapping[str, Callable[[int, int], float]] = {
    "linear": lambda at, of: at / of,
    "arithmetic": lambda at, of: at * (at + 1) / (of * (of + 1)),
    "geometric": lambda at, of: (at / of) ** 2,
    "exponential": lambda at, of: (2.0**at - 1) / (2.0**of - 1),
}


def of_topic(text: str | None) -> Document:
    """The effective policy of a topic."""
    given = (json.loads(text) if text else {}).get("http") or {}
    return {
        "http": {
            "defaultHealthyRetryPolicy": {**RETRIES, **(given.get("defaultHealthyRetryPolicy") or {})},
            "disableSubscriptionOverrides": bool(given.get("disableSubscriptionOverrides")),
            "defaultRequestPolicy": {
                "headerContentType": (given.get("defaultRequestPolicy") or {}).get("headerContentType", CONTENT_TYPE)
            },
        }
    }


def of_subscription(topic: str | None, own: str | None) -> Delivery:
    """What holds, of both policies' texts: the topic's may disable the subscription's."""
    http = of_topic(topic)["http"]
    mine = json.loads(own) if own and not http["disableSubscriptionOverrides"] else {}
    retries = {**http["defaultHealthyRetryPolicy"], **(mine.get("healthyRetryPolicy") or {})}
    kind = (mine.get("requestPolicy") or {}).get("headerContentType")
    return Delivery(retries, kind or http["defaultRequestPolicy"]["headerContentType"])


def effective(topic: str | None, own: str | None) -> Document:
    """As a subscription's attributes show it."""
    delivery = of_subscription(topic, own)
    return {
        "healthyRetryPolicy": dict(delivery.retries),
        "requestPolicy": {"headerContentType": delivery.content_type},
    }


def checked_of_topic(text: str) -> str | None:
    """As it is stored; None for an empty one, which takes it away. Raises InvalidParameter."""
    if not text:
        return None
    policy = _object(text)
    _only(policy, "http")
    http = policy.get("http") or {}
    _only(http, "defaultHealthyRetryPolicy", "disableSubscriptionOverrides", "defaultRequestPolicy")
    if not isinstance(http.get("disableSubscriptionOverrides", False), bool):
        raise _bad("disableSubscriptionOverrides must be true or false")
    _retries(http.get("defaultHealthyRetryPolicy") or {})
    _request(http.get("defaultRequestPolicy") or {})
    return json.dumps(policy)


def checked_of_subscription(text: str) -> str | None:
    """As `checked_of_topic`."""
    if not text:
        return None
    policy = _object(text)
    _only(policy, "healthyRetryPolicy", "requestPolicy")
    _retries(policy.get("healthyRetryPolicy") or {})
    _request(policy.get("requestPolicy") or {})
    return json.dumps(policy)


def _object(text: str) -> Document:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad("failed to parse JSON") from None
    if not isinstance(policy, dict):
        raise _bad("not an object")
    return policy


def _only(given: Any, *names: str) -> None:
    if not isinstance(given, dict):
        raise _bad("not an object")
    for refused in _NOT_BUILT:
        if refused in given:
            raise faults.not_built("SetTopicAttributes", refused)
    for name in given:
        if name not in names:
            raise _bad(f"Unexpected JSON member: {name}")


def _retries(given: Document) -> None:
    _only(given, *RETRIES)
    for name in (*_COUNTS, *_DELAYS):
        value = given.get(name, 1)
        most = _MOST_RETRIES if name in _COUNTS else _LONGEST_DELAY
        if isinstance(value, bool) or not isinstance(value, int) or not (name in _DELAYS) <= value <= most:
            raise _bad(f"{name} must be between {int(name in _DELAYS)} and {most}")
    whole = {**RETRIES, **given}
    if whole["backoffFunction"] not in tuple(_BACK_OFFS):  # it may be anything, also what has no hash
        raise _bad(f"backoffFunction must be one of {', '.join(_BACK_OFFS)}")
    if whole["minDelayTarget"] > whole["maxDelayTarget"]:
        raise _bad("maxDelayTarget must be greater than or equal to minDelayTarget")
    if sum(whole[name] for name in _COUNTS[1:]) > whole["numRetries"]:
        raise _bad("numRetries must be greater than or equal to the sum of its parts")


def _request(given: Document) -> None:
    _only(given, "headerContentType")
    kind = given.get("headerContentType", "text/plain")
    if not isinstance(kind, str) or kind.partition(";")[0].strip() not in _TYPES or not _is_plain(kind):
        raise _bad("headerContentType is not supported")


def _is_plain(text: str) -> bool:
    """Whether a header can say it."""
    return text.isascii() and text.isprintable()


def _bad(reason: str) -> Exception:
    return faults.invalid(f"DeliveryPolicy: {reason}")
