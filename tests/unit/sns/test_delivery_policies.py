"""When a delivery that failed is tried again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clary.errors import ServiceError
from clary.services.sns import delivery_policies


def _waits(policy: delivery_policies.Delivery) -> list[float]:
    found, failures = [], 1
    while (wait := policy.wait(failures)) is not None:
        found.append(round(wait, 2))
        failures += 1
    return found


def test_by_default() -> None:
    assert _waits(delivery_policies.of_subscription(None, None)) == [20, 20, 20]


@pytest.mark.parametrize(
    ("function", "between"),
    [("linear", [40, 70, 100]), ("arithmetic", [25, 55, 100]), ("exponential", [22.86, 48.57, 100])],
)
def test_the_phases(function: str, between: list[float]) -> None:
    retries = {
        "numRetries": 7,
        "numNoDelayRetries": 1,
        "numMinDelayRetries": 2,
        "numMaxDelayRetries": 1,
        "minDelayTarget": 10,
        "maxDelayTarget": 100,
        "backoffFunction": function,
    }
    text = delivery_policies.checked_of_subscription(json.dumps({"healthyRetryPolicy": retries}))
    assert _waits(delivery_policies.of_subscription(None, text)) == [0, 10, 10, *between, 100]


def test_a_topic_may_have_the_last_word() -> None:
    topic = {"http": {"disableSubscriptionOverrides": True, "defaultHealthyRetryPolicy": {"numRetries": 1}}}
    own = json.dumps({"healthyRetryPolicy": {"numRetries": 9}})
    assert len(_waits(delivery_policies.of_subscription(json.dumps(topic), own))) == 1
    topic["http"]["disableSubscriptionOverrides"] = False
    assert len(_waits(delivery_policies.of_subscription(json.dumps(topic), own))) == 9


def test_mail_is_tried_for_hours() -> None:
    waits = _waits(delivery_policies.Delivery(delivery_policies.OF_MAIL, ""))
    assert len(waits) == 50
    assert 5 * 3600 < sum(waits) < 8 * 3600


WRONG: tuple[Any, ...] = (0, -1, 1.5, 10**400, float("nan"), "x", "\ud800", None, True, [], [1], {}, {"a": 1})


def _of_topics() -> Iterator[Any]:
    for wrong in WRONG:
        yield wrong
        yield {"http": wrong}
        for name in ("defaultHealthyRetryPolicy", "disableSubscriptionOverrides", "defaultRequestPolicy"):
            yield {"http": {name: wrong}}
        yield {"http": {"defaultRequestPolicy": {"headerContentType": wrong}}}


def _of_subscriptions() -> Iterator[Any]:
    for wrong in WRONG:
        yield wrong
        for name in ("healthyRetryPolicy", "requestPolicy"):
            yield {name: wrong}
        yield {"requestPolicy": {"headerContentType": wrong}}
        yield from ({"healthyRetryPolicy": {name: wrong}} for name in delivery_policies.RETRIES)


@pytest.mark.parametrize(
    ("check", "policies"),
    [
        (delivery_policies.checked_of_topic, _of_topics()),
        (delivery_policies.checked_of_subscription, _of_subscriptions()),
    ],
)
def test_what_is_taken_can_be_used(check: Callable[[str], str | None], policies: Iterator[Any]) -> None:
    of_topic = check is delivery_policies.checked_of_topic
    refused = 0
    for policy in policies:
        try:
            text = check(json.dumps(policy))
        except ServiceError as error:
            assert error.code == "InvalidParameter", policy
            refused += 1
            continue
        _waits(delivery_policies.of_subscription(*((text, None) if of_topic else (None, text))))
    assert refused > len(WRONG)


@pytest.mark.parametrize("kind", ["text/plain; charset=ü", "text/plain\r\nX: y", "text/plain; \u2028", "text/x"])
def test_content_types_that_no_header_says(kind: str) -> None:
    policy = json.dumps({"requestPolicy": {"headerContentType": kind}})
    with pytest.raises(ServiceError, match="headerContentType is not supported"):
        delivery_policies.checked_of_subscription(policy)
