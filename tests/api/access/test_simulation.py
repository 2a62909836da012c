"""A simulation says what the policies decide."""

from __future__ import annotations

from typing import Any

from api.access.people import Person, allow, document, refusal, role
from whole_server import WholeServer

READ = "arn:aws:s3:::b/read/*"


def test_of_a_principal(server: WholeServer) -> None:
    person = Person(server, allow("s3:GetObject", on=READ), {**allow("s3:Put*"), "Effect": "Deny"})
    asked = {"PolicySourceArn": person.arn, "ActionNames": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]}
    found = server.client("iam").simulate_principal_policy(**asked, ResourceArns=["arn:aws:s3:::b/read/x"])
    told = [(each["EvalActionName"], each["EvalDecision"]) for each in found["EvaluationResults"]]
    assert told == [
        *(("s3:GetObject", "allowed"), ("s3:PutObject", "explicitDeny")),
        ("s3:ListBucket", "implicitDeny"),
    ]
    assert found["EvaluationResults"][0]["MatchedStatements"] == [{"SourcePolicyId": "own", "SourcePolicyType": "none"}]


def test_pages_and_missing_values(server: WholeServer) -> None:
    limited = allow("s3:*", Condition={"StringEquals": {"s3:prefix": "a"}})
    arn, iam = role(server, limited), server.client("iam")
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=arn, ActionNames=[f"s3:Get{n}" for n in range(7)], PaginationConfig={"PageSize": 3}
    )
    results = [each for page in pages for each in page["EvaluationResults"]]
    assert [each["EvalActionName"] for each in results] == [f"s3:Get{n}" for n in range(7)]
    assert results[0]["MissingContextValues"] == ["s3:prefix"]
    entry = {"ContextKeyName": "s3:prefix", "ContextKeyValues": ["a"], "ContextKeyType": "string"}
    given = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:GetX"], ContextEntries=[entry])
    assert given["EvaluationResults"][0]["EvalDecision"] == "allowed"
    assert iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"] == ["s3:prefix"]


def test_of_policies_given(server: WholeServer) -> None:
    iam = server.client("iam")
    found = iam.simulate_custom_policy(
        PolicyInputList=[document(allow("s3:*"))],
        PermissionsBoundaryPolicyInputList=[document(allow("s3:Get*"))],
        ActionNames=["s3:GetObject", "s3:PutObject"],
    )["EvaluationResults"]
    assert [each["EvalDecision"] for each in found] == ["allowed", "implicitDeny"]
    assert found[1]["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert refusal(iam.simulate_custom_policy, PolicyInputList=["{"], ActionNames=["s3:x"])[0] == "InvalidInput"
    assert refusal(
        iam.simulate_principal_policy, PolicySourceArn="arn:aws:iam::123456789012:role/r", ActionNames=["a:b"]
    )[0] == ("NoSuchEntity")


def test_of_a_resource_with_an_owner(server: WholeServer) -> None:
    asked: dict[str, Any] = {
        "PolicyInputList": [document(allow("s3:GetObject"))],
        "ActionNames": ["s3:GetObject"],
        "ResourcePolicy": document({**allow("s3:PutObject"), "Principal": "*"}),
    }
    simulate = server.client("iam").simulate_custom_policy
    for owner, decision in (("123456789012", "allowed"), ("222222222222", "implicitDeny")):
        found = simulate(**asked, ResourceOwner=f"arn:aws:iam::{owner}:root")["EvaluationResults"]
        assert found[0]["EvalDecision"] == decision
    for owner in ("222222222222", "arn:aws:iam::root", "arn:aws:iam::2:root"):
        assert refusal(simulate, **asked, ResourceOwner=owner)[0] == "InvalidInput"
