"""What a statement applies to: actions, resources, variables, conditions."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clary.auth.policy import Ask, Standing, decide
from unit.policy.people import USER, allow, policy

ADDRESS = {"aws:sourceip": ["192.0.2.7"]}


def permits(
    statement: dict[str, Any],
    action: str = "s3:GetObject",
    resource: str = "arn:aws:s3:::b/k",
    context: dict[str, list[str]] | None = None,
    version: str = "2012-10-17",
) -> bool:
    return decide(Ask(USER, action, resource, context or {}), Standing([policy(statement, version=version)])).allowed


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("s3:GetObject", True),
        ("S3:getobject", True),
        ("s3:Get*", True),
        ("s3:GetObjec?", True),
        ("s3:GetObject?", False),
        ("*", True),
        ("s3:*Object", True),
        ("s3:Put*", False),
        ("iam:*", False),
        (["iam:*", "s3:*"], True),
        ([], False),
    ],
)
def test_actions(pattern: object, fits: bool) -> None:
    assert permits(allow(Action=pattern)) is fits
    turned = {name: value for name, value in allow(NotAction=pattern).items() if name != "Action"}
    assert permits(turned) is not fits


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("arn:aws:s3:::b/k", True),
        ("arn:aws:s3:::B/k", False),
        ("arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b", False),
        ("arn:aws:s3:::b*", True),
        ("arn:aws:s3:::?/?", True),
        ("arn:*:k", False),
        ("arn:*/k", True),
        ("*", True),
        ("arn:aws:s3:::b/k*k", False),
        ("arn:aws:s3:::b.k", False),
    ],
)
def test_resources(pattern: str, fits: bool) -> None:
    assert permits(allow(Resource=pattern)) is fits
    turned = {name: value for name, value in allow(NotResource=pattern).items() if name != "Resource"}
    assert permits(turned) is not fits


def test_an_action_without_a_resource_needs_the_star() -> None:
    assert permits(allow(), "s3:ListAllMyBuckets", "*")
    assert not permits(allow(Resource="arn:aws:s3:::*"), "s3:ListAllMyBuckets", "*")


@pytest.mark.parametrize(
    ("pattern", "resource", "fits"),
    [
        ("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/ann/k", True),
        ("arn:aws:s3:::b/${AWS:UserName}/*", "arn:aws:s3:::b/ann/k", True),
        ("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/bob/k", False),
        ("arn:aws:s3:::b/${aws:missing}/*", "arn:aws:s3:::b//k", False),
        ("arn:aws:s3:::b/${aws:missing, 'all'}/*", "arn:aws:s3:::b/all/k", True),
        ("arn:aws:s3:::b/${ aws:missing ,'a, b' }", "arn:aws:s3:::b/a, b", True),
        ("arn:aws:s3:::b/${ aws:username }", "arn:aws:s3:::b/ann", True),
        ("arn:aws:s3:::b/${aws:missing, all}", "arn:aws:s3:::b/all", False),
        ("arn:aws:s3:::b/${aws:username, 'all'}/*", "arn:aws:s3:::b/all/k", False),
        ("arn:aws:s3:::b/${wild}/k", "arn:aws:s3:::b/anything/k", False),
        ("arn:aws:s3:::b/${wild}/k", "arn:aws:s3:::b/*/k", True),
        ("arn:aws:s3:::b/${several}", "arn:aws:s3:::b/one", False),
        ("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/k", False),
        ("arn:aws:s3:::b/${?}${$}", "arn:aws:s3:::b/?$", True),
    ],
)
def test_variables(pattern: str, resource: str, fits: bool) -> None:
    context = {"aws:username": ["ann"], "wild": ["*"], "several": ["one", "two"]}
    assert permits(allow(Resource=pattern), resource=resource, context=context) is fits


def test_the_old_version_has_no_variables() -> None:
    old = {"version": "2008-10-17", "context": {"aws:username": ["ann"]}}
    pattern = "arn:aws:s3:::b/${aws:username}"
    assert not permits(allow(Resource=pattern), resource="arn:aws:s3:::b/ann", **old)  # type: ignore[arg-type] # of several types
    assert permits(allow(Resource=pattern), resource=pattern, **old)  # type: ignore[arg-type] # of several types


CONDITIONS = [
    ("StringEquals", "v", ["v"], True),
    ("StringEquals", "v", ["V"], False),
    ("StringEquals", "v*", ["vx"], False),
    ("StringEquals", ["u", "v"], ["v"], True),
    ("StringEquals", [], ["v"], False),
    ("StringNotEquals", "v", ["v"], False),
    ("StringNotEquals", ["u", "v"], ["v"], False),
    ("StringNotEquals", "v", ["w"], True),
    ("StringNotEquals", "v", None, True),
    ("StringEquals", "v", None, False),
    ("StringEqualsIfExists", "v", None, True),
    ("StringEqualsIfExists", "v", ["w"], False),
    ("StringEqualsIgnoreCase", "V", ["v"], True),
    ("StringNotEqualsIgnoreCase", "V", ["v"], False),
    ("StringLike", "a*c?", ["abcd"], True),
    ("StringLike", "a*c?", ["Abcd"], False),
    ("StringNotLike", "a*", ["abc"], False),
    ("StringLike", "${aws:username}-*", ["ann-1"], True),
    ("NumericEquals", "10", ["10.0"], True),
    ("NumericEquals", 10, ["10"], True),
    ("NumericLessThan", "10", ["9"], True),
    ("NumericLessThan", "10", ["10"], False),
    ("NumericLessThanEquals", "10", ["10"], True),
    ("NumericGreaterThan", "10", ["9"], False),
    ("NumericGreaterThanEquals", "10", ["10"], True),
    ("NumericNotEquals", "10", ["11"], True),
    ("NumericLessThan", "10", ["x"], False),
    ("NumericLessThan", "10", ["nan"], False),
    ("DateLessThan", "2024-01-01T00:00:00Z", ["2023-12-31T23:59:59Z"], True),
    ("DateGreaterThan", "2024-01-01T00:00:00Z", ["2023-12-31T23:59:59Z"], False),
    ("DateEquals", "2024-01-01", ["1704067200"], True),
    ("DateEquals", "2024-01-01T01:00:00+01:00", ["1704067200"], True),
    ("DateNotEquals", "2024-01-01", ["1704067200"], False),
    ("DateGreaterThanEquals", "1704067200", ["2024-01-01T00:00:00Z"], True),
    ("DateLessThanEquals", "1704067200", ["2024-01-01T00:00:00.5Z"], False),
    ("Bool", "true", ["TRUE"], True),
    ("Bool", True, ["true"], True),
    ("Bool", "false", ["true"], False),
    ("Bool", "true", None, False),
    ("BinaryEquals", "QmFzZTY0", ["QmFzZTY0"], True),
    ("BinaryEquals", "QmFzZTY0", ["QmFzZTY1"], False),
    ("IpAddress", "192.0.2.0/24", ["192.0.2.7"], True),
    ("IpAddress", "192.0.2.7", ["192.0.2.7"], True),
    ("IpAddress", "203.0.113.0/24", ["192.0.2.7"], False),
    ("IpAddress", "2001:db8::/32", ["2001:DB8:1::1"], True),
    ("IpAddress", "2001:db8::/32", ["192.0.2.7"], False),
    ("NotIpAddress", "192.0.2.0/24", ["192.0.2.7"], False),
    ("NotIpAddress", "192.0.2.0/24", None, True),
    ("ArnLike", "arn:aws:iam::*:role/*", ["arn:aws:iam::1:role/x"], True),
    ("ArnEquals", "arn:aws:iam::*:role/*", ["arn:aws:iam::1:role/x"], True),
    ("ArnLike", "arn:*:role/x", ["arn:aws:iam::1:role/x"], False),
    ("ArnLike", "arn:aws:*", ["arn:aws:iam::1:role/x"], True),
    ("ArnLike", "arn:aws:s3:::*", ["arn:aws:s3:::a:b"], True),
    ("ArnNotLike", "arn:aws:iam::1:*", ["arn:aws:iam::1:role/x"], False),
    ("ArnNotEquals", "arn:aws:iam::2:*", ["arn:aws:iam::1:role/x"], True),
    ("Null", "true", None, True),
    ("Null", "true", ["v"], False),
    ("Null", "false", ["v"], True),
    ("Null", False, None, False),
    ("ForAnyValue:StringEquals", ["a", "b"], ["b", "c"], True),
    ("ForAnyValue:StringEquals", ["a", "b"], ["c"], False),
    ("ForAnyValue:StringEquals", ["a"], None, False),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
    ("ForAnyValue:StringNotEquals", ["a"], None, False),
    ("ForAllValues:StringEquals", ["a", "b"], ["b", "a"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["b", "c"], False),
    ("ForAllValues:StringEquals", ["a"], None, True),
    ("ForAllValues:StringEquals", ["a"], [], True),
    ("ForAllValues:StringNotLike", ["a*"], ["b", "ab"], False),
    ("ForAnyValue:StringLikeIfExists", ["a*"], None, True),
]


@pytest.mark.parametrize(("operator", "values", "given", "holds"), CONDITIONS)
def test_conditions(operator: str, values: object, given: list[str] | None, holds: bool) -> None:
    context = {"aws:username": ["ann"], **({"some:key": given} if given is not None else {})}
    assert permits(allow(Condition={operator: {"Some:Key": values}}), context=context) is holds


def test_all_conditions_have_to_hold() -> None:
    both = {"StringEquals": {"a": "1", "b": "2"}, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    assert permits(allow(Condition=both), context={"a": ["1"], "b": ["2"], **ADDRESS})
    assert not permits(allow(Condition=both), context={"a": ["1"], "b": ["3"], **ADDRESS})
    assert not permits(allow(Condition=both), context={"a": ["1"], "b": ["2"]})


def test_no_pattern_takes_long() -> None:
    started = time.perf_counter()
    assert not permits(allow(Resource="arn:aws:s3:::" + "a*" * 200 + "b"), resource="arn:aws:s3:::" + "a" * 20_000)
    assert time.perf_counter() - started < 1


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "inside", [" " * 50_000 + ",x", " " * 50_000 + "a, 'b", "a" + " " * 50_000 + "b", "," * 50_000]
)
def test_no_variable_takes_long_to_read(inside: str) -> None:
    assert not permits(allow(Resource="arn:aws:s3:::b/${" + inside + "}"), resource="arn:aws:s3:::b/k")
