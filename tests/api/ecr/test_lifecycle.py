"""Lifecycle policies: what they say, what they would do, and what they do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from api.access.people import refusal
from api.ecr.registry import Registry
from clary.services.ecr.lifecycle_rules import Candidate, expired, parse
from clary.services.ecr.wildcards import matches

DAY = 86_400.0


def rule(
    priority: int, status: str = "any", number: int = 1, action: str = "expire", **selection: Any
) -> dict[str, Any]:
    chosen = {"tagStatus": status, "countType": "imageCountMoreThan", "countNumber": number, **selection}
    return {"rulePriority": priority, "description": "r" * 40, "selection": chosen, "action": {"type": action}}


def old(days: int) -> dict[str, Any]:
    return {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}


def policy(*rules: Mapping[str, Any]) -> str:
    return json.dumps({"rules": rules})


IMAGES = {  # name: (days since it was pushed, tags); the name is the digest
    "A": (10, ("beta-1",)),
    "B": (10, ("prod-1",)),
    "C": (8, ("beta-2", "prod-2")),
    "D": (1, ()),
    "E": (30, ()),
}


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        ([rule(1, number=2)], {"A": 1, "B": 1, "E": 1}),
        ([rule(1, "untagged", **old(14))], {"E": 1}),
        ([rule(1, "tagged", tagPrefixList=["beta"]), rule(2, "tagged", tagPrefixList=["prod"])], {"A": 1, "B": 2}),
        (
            [rule(2, "tagged", tagPrefixList=["beta"], **old(7)), rule(1, "tagged", tagPrefixList=["prod"])],
            {"A": 2, "B": 1},
        ),
        ([rule(1, "tagged", tagPrefixList=["beta", "prod"], **old(1))], {"C": 1}),
        ([rule(1, "tagged", tagPatternList=["*-1"], **old(1))], {"A": 1, "B": 1}),
        ([rule(1, "tagged", tagPrefixList=["prod"], number=5), rule(9, number=1)], {"A": 9, "E": 9}),
    ],
)
def test_which_images_a_policy_expires(rules: list[dict[str, Any]], gone: dict[str, int]) -> None:
    now = 1_000_000_000.0
    images = [Candidate(name, now - days * DAY, tags) for name, (days, tags) in IMAGES.items()]
    assert {each.image.digest: each.priority for each in expired(parse(policy(*rules)), images, now)} == gone


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("v1", "v1", True),
        ("v1", "v11", False),
        ("v*", "v", True),
        ("*", "", True),
        ("a*b*c", "a-bb-c", True),
        ("a*b*c", "a-c", False),
        ("ab*ba", "aba", False),
        ("*a*a*a*a" * 100, "a" * 10_000 + "b", False),
    ],
)
def test_wildcards(pattern: str, text: str, wanted: bool) -> None:
    assert matches(pattern, text) is wanted


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule(1), rule(1, "untagged")],
        [rule(1), rule(2, "untagged")],
        [rule(1, "untagged"), rule(2, "untagged")],
        [rule(0)],
        [rule(1, number=0)],
        [rule(1, "tagged")],
        [rule(1, "tagged", tagPrefixList=["a"], tagPatternList=["b"])],
        [rule(1, tagPrefixList=["a"])],
        [rule(1, countUnit="days")],
        [rule(1, countType="sinceImagePushed")],
        [rule(1, action="keep")],
        [rule(1, "sometimes")],
        [rule(1, **old(10**400))],
        [rule(10**400)],
        [rule(1, "tagged", tagPrefixList=5)],
        [rule(1, "tagged", tagPatternList={"a": "b"})],
    ],
)
def test_what_is_no_policy(ecr: Any, repository: str, rules: list[dict[str, Any]]) -> None:
    text = policy(*rules).ljust(100)
    code, _, message = refusal(ecr.put_lifecycle_policy, repositoryName=repository, lifecyclePolicyText=text)
    assert code == "InvalidParameterException"
    assert "Lifecycle policy validation failure" in message


def test_what_is_not_built_is_refused_by_name(ecr: Any, repository: str) -> None:
    for wrong, name in (
        (rule(1, action="transition"), "action.type transition"),
        (rule(1, countType="sinceImagePulled"), "countType"),
    ):
        told = refusal(ecr.put_lifecycle_policy, repositoryName=repository, lifecyclePolicyText=policy(wrong))[2]
        assert name in told
        assert "is not built" in told


def test_a_policy_is_kept(ecr: Any, repository: str) -> None:
    text = policy(rule(1, number=3))
    assert refusal(ecr.get_lifecycle_policy, repositoryName=repository)[0] == "LifecyclePolicyNotFoundException"
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=text)
    assert ecr.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"] == text
    assert ecr.delete_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"] == text
    assert refusal(ecr.delete_lifecycle_policy, repositoryName=repository)[0] == "LifecyclePolicyNotFoundException"


def test_what_a_policy_would_do(ecr: Any, registry: Registry, repository: str) -> None:
    missing = refusal(ecr.get_lifecycle_policy_preview, repositoryName=repository)[0]
    assert missing == "LifecyclePolicyPreviewNotFoundException"
    digests = [registry.push(repository, f"v{number}", bytes([number]))[0] for number in range(3)]
    text = policy(rule(7, "tagged", tagPrefixList=["v"], number=1))
    ecr.start_lifecycle_policy_preview(repositoryName=repository, lifecyclePolicyText=text)
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName=repository)
    found = ecr.get_lifecycle_policy_preview(repositoryName=repository)
    assert found["summary"] == {"expiringImageTotalCount": 2}
    wanted = {digests[0]: ["v0"], digests[1]: ["v1"]}
    assert {each["imageDigest"]: each["imageTags"] for each in found["previewResults"]} == wanted
    assert {each["appliedRulePriority"] for each in found["previewResults"]} == {7}
    one = ecr.get_lifecycle_policy_preview(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert [each["imageDigest"] for each in one["previewResults"]] == [digests[1]]
    assert len(ecr.list_images(repositoryName=repository)["imageIds"]) == 3
