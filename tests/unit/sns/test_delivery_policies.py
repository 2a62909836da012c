"""When a delivery that failed is tried again."""

from __future__ import annotations

import json

import pytest

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
