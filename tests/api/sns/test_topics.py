"""Topics: their names, what is set on them, their policies and tags."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.access.people import refusal
from api.s3.conftest import ALT, MAIN
from api.sns.conftest import Served

ABSENT = f"arn:aws:sns:us-east-1:{MAIN}:absent"


def attributes(sns: Any, topic: str) -> dict[str, str]:
    found: dict[str, str] = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    return found


def test_made_again_and_gone(sns: Any) -> None:
    given = {"Name": "a", "Attributes": {"DisplayName": "A"}, "Tags": [{"Key": "k", "Value": "v"}]}
    arn = sns.create_topic(**given)["TopicArn"]
    assert arn == f"arn:aws:sns:us-east-1:{MAIN}:a"
    assert sns.create_topic(**given)["TopicArn"] == sns.create_topic(Name="a")["TopicArn"] == arn
    other = "Invalid parameter: Attributes Reason: Topic already exists with different attributes"
    assert refusal(sns.create_topic, Name="a", Attributes={"DisplayName": "B"})[2] == other
    other = "Invalid parameter: Tags Reason: Topic already exists with different tags"
    assert refusal(sns.create_topic, Name="a", Tags=[{"Key": "k", "Value": "w"}])[2] == other
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    assert refusal(sns.get_topic_attributes, TopicArn=arn) == ("NotFound", 404, "Topic does not exist")
    assert sns.create_topic(Name="a", Tags=[{"Key": "k", "Value": "w"}])["TopicArn"] == arn
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "w"}]


@pytest.mark.parametrize("name", ["", "x" * 257, "a b", "a:b", "ä", "a.fifo.b"])
def test_no_names(sns: Any, name: str) -> None:
    assert refusal(sns.create_topic, Name=name)[2] == "Invalid parameter: Topic Name"


def test_what_is_not_built_is_named(sns: Any, topic: str) -> None:
    for given in (
        {"Name": "a.fifo", "Attributes": {"FifoTopic": "true"}},
        {"Name": "a.fifo"},
        {"Name": "a", "Attributes": {"KmsMasterKeyId": "alias/aws/sns"}},
        {"Name": "a", "Attributes": {"TracingConfig": "Active"}},
        {"Name": "a", "Attributes": {"HTTPSuccessFeedbackRoleArn": "arn:aws:iam::123456789012:role/r"}},
        {"Name": "a", "DataProtectionPolicy": "{}"},
    ):
        assert "not built" in refusal(sns.create_topic, **given)[2]
    for protocol in ("sqs", "lambda", "sms", "application", "firehose"):
        assert (
            f"Protocol {protocol} is not built"
            in refusal(sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint="x")[2]
        )
    assert "not built" in refusal(sns.publish, PhoneNumber="+15551234567", Message="m")[2]
    assert (
        "not built"
        in refusal(
            sns.subscribe,
            TopicArn=topic,
            Protocol="http",
            Endpoint="http://127.0.0.1/",
            Attributes={"RedrivePolicy": '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:q"}'},
        )[2]
    )


def test_arns_that_are_none(sns: Any, served: Served) -> None:
    reason = "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"
    assert refusal(sns.get_topic_attributes, TopicArn="a")[2] == reason
    assert refusal(sns.publish, TopicArn="a", Message="m")[2] == reason
    assert refusal(sns.publish, TopicArn=ABSENT, Message="m") == ("NotFound", 404, "Topic does not exist")
    elsewhere = served.client("sns", region="eu-west-1").create_topic(Name="there")["TopicArn"]
    assert refusal(sns.get_topic_attributes, TopicArn=elsewhere)[2] == "Invalid parameter: TopicArn"
    assert sns.list_topics()["Topics"] == []
    reason = "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"
    assert refusal(sns.unsubscribe, SubscriptionArn="a")[2] == reason


def test_attributes(sns: Any, topic: str) -> None:
    found = attributes(sns, topic)
    assert (found["Owner"], found["DisplayName"], found["TopicArn"]) == (MAIN, "", topic)
    assert json.loads(found["Policy"])["Id"] == "__default_policy_ID"
    retries = json.loads(found["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]
    assert (retries["numRetries"], retries["minDelayTarget"]) == (3, 20)
    policy = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 5}}}
    for name, value in (("DisplayName", "N"), ("DeliveryPolicy", json.dumps(policy)), ("SignatureVersion", "2")):
        sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    found = attributes(sns, topic)
    assert (found["DisplayName"], json.loads(found["DeliveryPolicy"]), found["SignatureVersion"]) == ("N", policy, "2")
    assert json.loads(found["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 5
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue="")
    assert "DeliveryPolicy" not in attributes(sns, topic)
    for name, value in (
        ("Nothing", "x"),
        ("FifoTopic", "false"),
        ("SignatureVersion", "3"),
        ("DeliveryPolicy", "{"),
        ("DeliveryPolicy", '{"http": {"defaultHealthyRetryPolicy": {"numRetries": 101}}}'),
        ("DeliveryPolicy", '{"http": {"defaultHealthyRetryPolicy": {"minDelayTarget": 30}}}'),
        ("Policy", ""),
        ("Policy", '{"foo": "bar"}'),
    ):
        given = {"TopicArn": topic, "AttributeName": name, "AttributeValue": value}
        assert refusal(sns.set_topic_attributes, **given)[0] == "InvalidParameter", (name, value)


def test_permissions(sns: Any, topic: str, served: Served) -> None:
    theirs = served.client("sns", key="ALT")
    assert refusal(theirs.publish, TopicArn=topic, Message="m")[:2] == ("AuthorizationError", 403)
    assert refusal(theirs.publish, TopicArn=ABSENT, Message="m")[:2] == ("AuthorizationError", 403)
    given = {"TopicArn": topic, "Label": "them", "AWSAccountId": [ALT], "ActionName": ["Publish"]}
    sns.add_permission(**given)
    assert refusal(sns.add_permission, **given)[2] == "Invalid parameter: Statement already exists"
    assert theirs.publish(TopicArn=topic, Message="m")["MessageId"]
    assert refusal(theirs.subscribe, TopicArn=topic, Protocol="email", Endpoint="a@b.c")[0] == "AuthorizationError"
    added = json.loads(attributes(sns, topic)["Policy"])["Statement"][1]
    assert added == {
        "Sid": "them",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ALT}:root"},
        "Action": "SNS:Publish",
        "Resource": topic,
    }
    sns.remove_permission(TopicArn=topic, Label="them")
    assert refusal(theirs.publish, TopicArn=topic, Message="m")[0] == "AuthorizationError"
    wrong = {**given, "ActionName": ["Nothing"]}
    assert refusal(sns.add_permission, **wrong)[2] == "Invalid parameter: Policy statement action out of service scope!"
    for account in ("*", f"{ALT}:role/x", f"{ALT}\n", "\u0661" * 12, "12"):
        wrong = {**given, "Label": "other", "AWSAccountId": [ALT, account]}
        assert refusal(sns.add_permission, **wrong)[2] == "Invalid parameter: AWSAccountId"


def test_anothers_subscription(sns: Any, topic: str, served: Served) -> None:
    """It is his, and the topic's owner sees it; nobody else does."""
    given = {"TopicArn": topic, "Label": "them", "AWSAccountId": [ALT], "ActionName": ["Subscribe"]}
    sns.add_permission(**given)
    theirs, mine = served.client("sns", key="ALT"), {"TopicArn": topic, "Protocol": "email"}
    arn = theirs.subscribe(**mine, Endpoint="them@example.org", ReturnSubscriptionArn=True)["SubscriptionArn"]
    shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (shown["Owner"], shown["PendingConfirmation"]) == (ALT, "true")
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert len(theirs.list_subscriptions()["Subscriptions"]) == 1
    own = sns.subscribe(**mine, Endpoint="us@example.org", ReturnSubscriptionArn=True)["SubscriptionArn"]
    change = {"SubscriptionArn": own, "AttributeName": "FilterPolicy", "AttributeValue": "{}"}
    assert refusal(theirs.set_subscription_attributes, **change)[:2] == ("NotFound", 404)
    assert refusal(theirs.get_subscription_attributes, SubscriptionArn=own)[:2] == ("NotFound", 404)


def test_what_a_refusal_cannot_quote(sns: Any, topic: str) -> None:
    """Halves of surrogate pairs come in as JSON's references, and are told without them."""
    given = {"TopicArn": topic, "Protocol": "email", "Endpoint": "a@b.c"}
    for name, value in (("FilterPolicy", '{"a": [{"\\ud800": 1}]}'), ("FilterPolicy", '{"a": {"\\ud800": 1}}')):
        code, status, message = refusal(sns.subscribe, **given, Attributes={name: value})
        assert (code, status) == ("InvalidParameter", 400)
        assert "\ufffd" in message
    change = {"TopicArn": topic, "AttributeName": "DeliveryPolicy", "AttributeValue": '{"\\ud800": 1}'}
    assert refusal(sns.set_topic_attributes, **change)[:2] == ("InvalidParameter", 400)


def test_tags(sns: Any, topic: str) -> None:
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["a", "none"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "b", "Value": "2"}]
    many = [{"Key": str(number), "Value": ""} for number in range(51)]
    assert refusal(sns.tag_resource, ResourceArn=topic, Tags=many)[0] == "TagLimitExceeded"
    twice = [{"Key": "a", "Value": "1"}] * 2
    assert refusal(sns.tag_resource, ResourceArn=topic, Tags=twice)[2].endswith("Duplicated keys are not allowed.")
    for unseen in ({"Key": "a\x01", "Value": ""}, {"Key": "a", "Value": "\x00"}):
        assert refusal(sns.tag_resource, ResourceArn=topic, Tags=[unseen])[0] == "InvalidParameter"
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "c", "Value": "\ufffe"}])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"][1] == {"Key": "c", "Value": "\ufffd"}
    assert refusal(sns.list_tags_for_resource, ResourceArn=ABSENT)[:2] == ("ResourceNotFound", 404)


def test_pages(sns: Any) -> None:
    made = {sns.create_topic(Name=f"t{number}")["TopicArn"] for number in range(120)}
    pages = [page["Topics"] for page in sns.get_paginator("list_topics").paginate()]
    assert [len(page) for page in pages] == [100, 20]
    assert {each["TopicArn"] for page in pages for each in page} == made
    assert refusal(sns.list_topics, NextToken="x")[0] == "InvalidParameter"
