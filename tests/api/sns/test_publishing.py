"""What may be published, and who gets it."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from typing import Any

import pytest

from api.access.people import refusal
from api.sns.conftest import Served
from api.sns.listener import Listener
from whole_server import wait_until


def attribute(kind: str | None, **values: object) -> dict[str, object]:
    return {"a": {**({"DataType": kind} if kind else {}), **values}}


WRONG = "ParameterValueInvalid"


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("InvalidParameter", {"Message": ""}),
        ("InvalidParameter", {"Message": "m", "Subject": ""}),
        ("InvalidParameter", {"Message": "m", "Subject": "x" * 101}),
        ("InvalidParameter", {"Message": "m", "Subject": "a\nb"}),
        ("InvalidParameter", {"Message": "ä" * 131_073}),
        ("InvalidParameter", {"Message": "x" * 262_143, "MessageAttributes": attribute("String", StringValue="v")}),
        ("InvalidParameter", {"Message": "{", "MessageStructure": "json"}),
        ("InvalidParameter", {"Message": '{"http": "x"}', "MessageStructure": "json"}),
        ("InvalidParameter", {"Message": '{"default": 1}', "MessageStructure": "json"}),
        ("InvalidParameter", {"Message": '{"default": "\\ud800"}', "MessageStructure": "json"}),
        ("InvalidParameter", {"Message": '{"default": "m", "http": "\\udfff"}', "MessageStructure": "json"}),
        ("InvalidParameter", {"Message": "m", "MessageDeduplicationId": "x"}),
        ("ValidationError", {"Message": "m", "MessageAttributes": attribute(None, StringValue="v")}),
        (WRONG, {"Message": "m", "MessageAttributes": attribute("String")}),
        (WRONG, {"Message": "m", "MessageAttributes": attribute("String", BinaryValue=b"v")}),
        (WRONG, {"Message": "m", "MessageAttributes": attribute("Binary", StringValue="v")}),
        (WRONG, {"Message": "m", "MessageAttributes": attribute("Number", StringValue="v")}),
        (WRONG, {"Message": "m", "MessageAttributes": attribute("Boolean", StringValue="v")}),
        (WRONG, {"Message": "m", "MessageAttributes": {"a..b": {"DataType": "String", "StringValue": "v"}}}),
    ],
)
def test_what_may_not_be_published(sns: Any, topic: str, code: str, given: dict[str, Any]) -> None:
    assert refusal(sns.publish, TopicArn=topic, **given)[0] == code


def test_batches_that_are_none(sns: Any, topic: str) -> None:
    def code(*entries: dict[str, str]) -> str:
        return refusal(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=list(entries))[0]

    def entry(identifier: str, message: str = "m") -> dict[str, str]:
        return {"Id": identifier, "Message": message}

    assert code(*(entry(str(number)) for number in range(11))) == "TooManyEntriesInBatchRequest"
    assert code(entry("1"), entry("1")) == "BatchEntryIdsNotDistinct"
    assert code(entry("a.b")) == code(entry("x" * 81)) == "InvalidBatchEntryId"
    assert code(entry("1", "x" * 131_072), entry("2", "x" * 131_073)) == "BatchRequestTooLong"


def test_a_message_for_each_protocol_and_filter(sns: Any, topic: str, inbox: Listener) -> None:
    wanted = json.dumps({"kind": ["job", {"prefix": "end"}], "size": [{"numeric": [">", 1, "<=", 2]}]})
    inbox.confirm(sns, topic, Attributes={"FilterPolicy": wanted})

    def publish(text: str, kind: str, size: str) -> None:
        kinds = {
            "kind": {"DataType": "String", "StringValue": kind},
            "size": {"DataType": "Number", "StringValue": size},
        }
        sns.publish(TopicArn=topic, Message=text, MessageAttributes=kinds)

    for number, (kind, size) in enumerate([("job", "1"), ("job", "2"), ("model", "2"), ("endpoint", "1.5")]):
        publish(str(number), kind, size)
    inbox.wait(3)
    assert {each.document["Message"] for each in inbox.received[1:]} == {"1", "3"}


def test_a_filter_of_the_body(sns: Any, topic: str, inbox: Listener) -> None:
    wanted = json.dumps({"object": {"size": [{"numeric": [">=", 10]}], "name": [{"suffix": ".csv"}]}})
    scope = {"FilterPolicyScope": "MessageBody", "FilterPolicy": wanted}
    arn = inbox.confirm(sns, topic, Attributes=scope)
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["FilterPolicy"] == wanted
    for body in (
        "no JSON",
        json.dumps({"object": {"size": 9, "name": "a.csv"}}),
        json.dumps({"object": [{"size": 11, "name": "a.txt"}, {"size": 1, "name": "a.csv"}]}),
        json.dumps({"object": [{"size": 1, "name": "a.txt"}, {"size": 11, "name": "a.csv"}]}),
    ):
        sns.publish(TopicArn=topic, Message=body)
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="")
    assert json.loads(inbox.wait(2).document["Message"])["object"][1]["size"] == 11
    sns.publish(TopicArn=topic, Message="anything")
    assert inbox.wait(3).document["Message"] == "anything"


def test_a_message_is_not_compared_for_ever(sns: Any, topic: str, inbox: Listener) -> None:
    policy = json.dumps({"a": [{"prefix": f"v{number}"} for number in range(150)]})
    inbox.confirm(sns, topic, Attributes={"FilterPolicyScope": "MessageBody", "FilterPolicy": policy})
    many = json.dumps({"a": [0] * 80_000})
    assert refusal(sns.publish, TopicArn=topic, Message=many)[0] == "InvalidParameter"
    sns.publish(TopicArn=topic, Message='{"a":' + "[" * 900 + "]" * 900 + "}")
    sns.publish(TopicArn=topic, Message='{"a": "v7"}')
    assert inbox.wait(2).document["Message"] == '{"a": "v7"}'


def test_mail_into_a_folder(served: Served, sns: Any, topic: str) -> None:
    def letters() -> list[Any]:
        found = sorted(served.settings.mail.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in found]

    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="The Lab")
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ann@example.org")
    sns.subscribe(TopicArn=topic, Protocol="email-json", Endpoint="ann@example.org")
    asked = wait_until(lambda: letters() if len(letters()) == 2 else None)
    for each in asked:
        assert each["Subject"] == "AWS Notification - Subscription Confirmation"
        text = each.get_content()
        token = text.partition("Token=")[2][:160]
        sns.confirm_subscription(TopicArn=topic, Token=token)
    sns.publish(TopicArn=topic, Subject="Done", Message="Job 7 has ended: größer")
    found = wait_until(lambda: letters() if len(letters()) == 4 else None)
    texts = [each.get_content().replace("\r\n", "\n") for each in found[2:]]
    assert {each["To"] for each in found} == {"ann@example.org"}
    assert {each["Subject"] for each in found[2:]} == {"Done"}
    assert found[3]["From"] == "The Lab <no-reply@clary.localhost>"
    (plain,) = (text for text in texts if not text.startswith("{"))
    (document,) = (json.loads(text) for text in texts if text.startswith("{"))
    assert plain.startswith("Job 7 has ended: größer\n\n--\n")
    assert document["Message"] == "Job 7 has ended: größer"


ADDRESSES_OF_NONE = [
    *("nobody", "a@b, c@d", "a@b\r\nBcc: c@d", "<a@b>", "\u2028@b", "\x7f@b", "ü@b", "a@ü"),
    *("=?utf-8?q?a=0D=0ABcc:_c?=@b", f"{'a' * 65}@b", f"a@{'b' * 256}"),
]


@pytest.mark.parametrize("endpoint", ADDRESSES_OF_NONE)
def test_addresses_that_are_none(sns: Any, topic: str, endpoint: str) -> None:
    given = {"TopicArn": topic, "Protocol": "email", "Endpoint": endpoint}
    assert refusal(sns.subscribe, **given)[2] == "Invalid parameter: Email address"


@pytest.mark.parametrize("endpoint", ["https://x.org/", "http://", "x", "http://x:0/", "http://x/ y", "http://x/\r\n"])
def test_urls_that_are_none(sns: Any, topic: str, endpoint: str) -> None:
    given = {"TopicArn": topic, "Protocol": "http", "Endpoint": endpoint}
    assert refusal(sns.subscribe, **given)[2] == "Invalid parameter: Endpoint must match the specified protocol"


def test_subscriptions_that_nobody_confirms_end(served: Served, sns: Any, topic: str) -> None:
    from clary.services.sns.subscriptions import RECONCILERS, SUBSCRIPTION
    from clary.store import queues, records

    given = {"TopicArn": topic, "Protocol": "email", "Endpoint": "a@b.c", "ReturnSubscriptionArn": True}
    arn = sns.subscribe(**given)["SubscriptionArn"]
    reconciler, database = RECONCILERS[SUBSCRIPTION], served.platform.stores.records
    for seconds, left in ((86_400, 1), (86_401, 0)):
        served.later(seconds)
        now = served.clock.now()
        due = database.read(
            lambda connection, now=now: queues.due(connection, SUBSCRIPTION, reconciler.statuses, reconciler.queue, now)
        )
        assert due.places
        record = database.read(lambda connection: records.by_arn(connection, arn))
        assert record is not None
        reconciler.reconcile(served.platform, record)
        assert len(sns.list_subscriptions()["Subscriptions"]) == left
