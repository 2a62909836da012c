"""What is a policy, and what IAM says of one that is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clary.auth.policy import MalformedPolicy, checks, parse
from unit.policy.people import USER, allow, policy

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"


def written(**elements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [allow(**elements)]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This policy contains invalid Json"),
        ("{" * 100_000, "This policy contains invalid Json"),
        ('{"Id": "\\ud800", "Statement": {"Effect": "Deny"}}', "This policy contains invalid Json"),
        (written(Principal={"AWS": "\ud800"}), "This policy contains invalid Json"),
        ("[]", SYNTAX),
        ("{}", SYNTAX),
        ('{"Version": "2012-10-17", "Statement": []}', SYNTAX),
        ('{"Version": "2012-10-17", "Statement": ["x"]}', SYNTAX),
        ('{"Version": "2012-10-17", "Statement": {}, "More": 1}', SYNTAX),
        ('{"Version": "2013-10-17", "Statement": {}}', "The policy must contain a valid version string"),
        ('{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}', SYNTAX),
        (written(Effect="allow"), SYNTAX),
        (written(Sid=1), SYNTAX),
        (written(Surprise=1), SYNTAX),
        (written(NotAction="s3:*"), SYNTAX),
        (written(NotResource="*"), SYNTAX),
        (written(Action=[1]), SYNTAX),
        (written(Action=None), SYNTAX),
        (written(Principal="everyone"), SYNTAX),
        (written(Principal={"People": "*"}), SYNTAX),
        (written(Condition="x"), SYNTAX),
        (written(Condition={"StringIs": {"a": "b"}}), SYNTAX),
        (written(Condition={"NullIfExists": {"a": "true"}}), SYNTAX),
        (written(Condition={"StringEquals": "b"}), SYNTAX),
        (written(Condition={"StringEquals": {"a": {}}}), SYNTAX),
        (written(Condition={"DateLessThan": {"a": "tomorrow"}}), LEGACY),
    ],
)
def test_what_is_no_policy(text: str, message: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        parse(text)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"Principal": "*"}, "Policy document should not specify a principal."),
        ({"Action": []}, "Policy statement must contain actions."),
        ({"Resource": []}, "Policy statement must contain resources."),
        ({"Action": "GetObject"}, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        ({"Action": "s3:a:b"}, "Actions/Condition can contain only one colon."),
        ({"Action": "a a:b"}, "Vendor a a is not valid"),
        ({"Resource": "bucket"}, 'Resource bucket must be in ARN format or "*".'),
        ({"Resource": "arn:b:c:d:e:f:g:h"}, 'Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".'),
        ({"Resource": "arn:b:c"}, 'Partition "b" is not valid for resource "arn:b:c:*:*:*".'),
        ({"Resource": "arn:aws"}, "Resource vendor must be fully qualified and cannot contain regexes."),
        (
            {"Resource": "arn:aws:s3:eu-west-1::b"},
            "Resource arn:aws:s3:eu-west-1::b can not contain region information.",
        ),
        ({"Resource": "arn:aws:s3::b"}, LEGACY),
        ({"Sid": "a-b"}, "Statement IDs (SID) must be alpha-numeric."),
    ],
)
def test_what_no_identity_may_have(elements: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        checks.identity(policy(allow(**elements)))
    assert refused.value.message.startswith(message)


def test_statement_ids_are_unique() -> None:
    with pytest.raises(MalformedPolicy, match="must be unique"):
        checks.identity(policy(allow(Sid="a"), allow(Sid="a")))
    checks.identity(policy(allow(Sid=""), allow(Sid="")))


def test_managed_policies_are_of_the_newest_version() -> None:
    with pytest.raises(MalformedPolicy, match="2012-10-17 or greater"):
        checks.identity(policy(allow(), version="2008-10-17"), newest=True)


def test_trust_policies_name_who_may_assume() -> None:
    good = {"Effect": "Allow", "Principal": {"AWS": USER.arn}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    checks.trust(policy(good))
    for change, message in (
        ({"Resource": "*"}, "Has prohibited field Resource"),
        ({"Principal": None}, "Missing required field Principal"),
        ({"Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
    ):
        bad = {name: value for name, value in {**good, **change}.items() if value is not None}
        with pytest.raises(MalformedPolicy) as refused:
            checks.trust(policy(bad))
        assert refused.value.message == message


def test_the_keys_that_a_policy_looks_at() -> None:
    looking = allow(
        Resource="arn:aws:s3:::b/${aws:username}",
        Condition={
            "StringEquals": {"S3:Prefix": "${aws:PrincipalTag/Team, 'x'}"},
            "Null": {"aws:TokenIssueTime": "true"},
        },
    )
    assert policy(looking).condition_keys() == {
        "aws:username",
        "s3:prefix",
        "aws:principaltag/team",
        "aws:tokenissuetime",
    }


def test_the_same_text_is_read_once() -> None:
    assert parse(written(), "a") is parse(written(), "a")
    assert parse(written(), "a") is not parse(written(), "b")
