"""Filter policies: what is one, and what it lets through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clary.errors import ServiceError
from clary.services.sns import filter_policies, filtering


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"key": [["value"]]}, "Match value must be String, number, true, false, or null"),
        ({"key": [{"wrong-operator": True}]}, "Unrecognized match type wrong-operator"),
        ({"key": [{"suffix": "value", "prefix": "value2"}]}, "Only one key allowed in match expression"),
        ({"key": []}, "Empty arrays are not allowed"),
        ({"key": [{"suffix": 100}]}, "suffix match pattern must be a string"),
        ({"key": "value"}, '"key" must be an object or an array'),
        ({"key": [{"cidr": "bad-filter"}]}, "Malformed CIDR, one '/' required"),
        ({"key": [{"cidr": "xx.11.xx/8"}]}, "Nonstandard IP address: xx.11.xx"),
        ({"key": [{"numeric": ["operator"]}]}, "Unrecognized numeric range operator: operator"),
        ({"key": [{"numeric": [1, "<="]}]}, "Invalid member in numeric match: 1"),
        ({"key": [{"numeric": ["=", "000"]}]}, "Value of equals must be numeric"),
        ({"key": [{"numeric": [">="]}]}, "Value of >= must be numeric"),
        ({"key": [{"numeric": ["<", 100, ">", 10]}]}, "Too many elements in numeric expression"),
        ({"key": [{"numeric": [">=", 1, ">", 2]}]}, "Bad numeric range operator: >"),
        ({"key": [{"numeric": [">", 3, "<", 1]}]}, "Bottom must be less than top"),
        ({"key": [{"numeric": [">", 20, 30]}]}, "Bad value in numeric range: 30"),
        ({"key": [{"numeric": [">", 20, "<", 30, "<", 50]}]}, "Too many terms in numeric range expression"),
        ({"key": [{"numeric": ["=", 10**400]}]}, "Value of equals must be numeric"),
        ({"key": [{"numeric": [">", 0, "<", 10**400]}]}, "Value of < must be numeric"),
        ({"key": [-(10**400)]}, "Match value must be String, number, true, false, or null"),
        ({"key": [{"anything-but": [10**400]}]}, "Match value must be String, number, true, false, or null"),
        ({"key": [{"exists": "no"}]}, "exists match pattern must be either true or false."),
        ({"key": [{"anything-but": {"suffix": "test"}}]}, "Unsupported anything-but pattern: suffix"),
        ({"key": [str(number) for number in range(151)]}, "Filter policy is too complex"),
        ({str(number): ["x"] for number in range(6)}, "Filter policy can not have more than 5 keys"),
        ({"a": {"b": {"c": ["x"] * 51}}}, "Filter policy is too complex"),
    ],
)
def test_what_is_no_policy(policy: dict[str, Any], reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        filter_policies.checked(json.dumps(policy), nested=True)
    assert caught.value.message == f"Invalid parameter: FilterPolicy: {reason}"


@pytest.mark.parametrize("depth", [160, 900, 5000, 50_000])
@pytest.mark.parametrize(("begin", "end"), [('{"a":', "}"), ('{"$or":[', ',{"b":["x"]}]}')])
def test_deep_ones_are_refused(depth: int, begin: str, end: str) -> None:
    with pytest.raises(ServiceError) as caught:
        filter_policies.checked(begin * depth + '{"a":["x"]}' + end * depth, nested=True)
    assert caught.value.code == "InvalidParameter"


def test_attributes_lie_beside_each_other() -> None:
    with pytest.raises(ServiceError, match="does not support nested"):
        filter_policies.checked('{"a": {"b": ["c"]}}', nested=False)


@pytest.mark.parametrize("text", ["", "{}"])
def test_an_empty_one_is_none(text: str) -> None:
    assert filter_policies.checked(text, nested=False) is None


def _lets(policy: dict[str, Any], body: object) -> bool:
    text = filter_policies.checked(json.dumps(policy), nested=True)
    assert text is not None
    return filtering.wanted(
        {"FilterPolicy": text, "FilterPolicyScope": "MessageBody"}, filtering.Body(json.dumps(body)), {}
    )


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        ("a", ["a", ["b", "a"]], ["b", None, 1, {"a": 1}]),
        (1, [1, 1.0, [2, 1]], ["1", True]),
        (True, [True], [1, "true", False]),
        (None, [None], ["null", 0, False]),
        ({"prefix": "ab"}, ["abc"], ["ba", 1]),
        ({"suffix": "bc"}, ["abc"], ["cb", None]),
        ({"equals-ignore-case": "Ab"}, ["aB"], ["abc"]),
        ({"anything-but": ["a", 1]}, ["b", 2], ["a", 1]),
        ({"anything-but": {"prefix": "a"}}, ["b"], ["ab"]),
        ({"cidr": "10.0.0.0/24"}, ["10.0.0.7"], ["10.0.1.7", "x", 10]),
        ({"numeric": ["=", 3]}, [3, 3.0], [4, "3", True]),
        ({"numeric": [">", 0, "<=", 5]}, [5, 0.1], [0, 6]),
        ({"exists": True}, ["a", None], []),
    ],
)
def test_conditions(condition: object, yes: list[object], no: list[object]) -> None:
    policy = {"key": [condition]}
    assert [value for value in yes if not _lets(policy, {"key": value})] == []
    assert [value for value in no if _lets(policy, {"key": value})] == []
    assert not _lets(policy, {"other": "a"})


def test_absence_and_alternatives() -> None:
    assert _lets({"key": [{"exists": False}]}, {"other": 1})
    assert not _lets({"key": [{"exists": False}]}, {"key": 1})
    policy = {"kind": ["job"], "$or": [{"size": [1]}, {"colour": ["red"], "form": ["round"]}]}
    assert _lets(policy, {"kind": "job", "size": 1})
    assert _lets(policy, {"kind": "job", "colour": "red", "form": "round"})
    assert not _lets(policy, {"kind": "job", "colour": "red"})
    assert not _lets(policy, {"kind": "model", "size": 1})


def test_attributes_have_types() -> None:
    def lets(condition: object, kind: str, value: str) -> bool:
        return filtering.wanted(
            {"FilterPolicy": json.dumps({"k": [condition]})}, filtering.Body(""), {"k": {"Type": kind, "Value": value}}
        )

    assert lets(1, "Number", "1.0")
    assert not lets(1, "String", "1")
    assert lets("b", "String.Array", '["a", "b"]')
    assert not lets("[", "String.Array", "[")
    assert not lets("AA==", "Binary", "AA==")


def test_many_values_and_deep_ones() -> None:
    assert not _lets({"a": [f"v{number}" for number in range(150)]}, {"a": [0] * 130_000})
    deep: object = "x"
    for _ in range(900):
        deep = [deep]
    assert _lets({"a": ["x"]}, {"a": deep})
    assert not _lets({"a": {"b": ["x"]}}, {"a": deep})


def test_comparisons_are_bounded() -> None:
    with pytest.raises(filtering.TooMuch):
        _lets({"a": [{"prefix": f"v{number}"} for number in range(150)]}, {"a": [0] * 130_000})
    with pytest.raises(filtering.TooMuch):
        budget = filtering.Budget(100)
        for _ in range(60):
            filtering.wanted({"FilterPolicy": '{"a": ["b"]}'}, filtering.Body("", budget), {})
