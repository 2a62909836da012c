"""Subscriptions over HTTP: the handshake, what is sent, and how often."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from api.access.people import refusal
from api.sns.conftest import Served
from api.sns.listener import Listener, listener
from whole_server import wait_until


def test_the_handshake(sns: Any, topic: str, inbox: Listener) -> None:
    asked = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=inbox.url)
    assert asked["SubscriptionArn"] == "pending confirmation"
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    came = inbox.wait(1)
    assert came.kind == came.document["Type"] == "SubscriptionConfirmation"
    assert came.headers.get("user-agent") == "Amazon Simple Notification Service Agent"
    sns.publish(TopicArn=topic, Message="before anybody said yes")
    token = came.document["Token"]
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert refusal(sns.confirm_subscription, TopicArn=topic, Token=changed)[0] == "InvalidParameter"
    arn = sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"]
    assert arn == sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"]
    shown = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (shown["PendingConfirmation"], shown["ConfirmationWasAuthenticated"]) == ("false", "true")
    again = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=inbox.url)
    assert again["SubscriptionArn"] == arn, "who is confirmed is not asked again"
    sent = sns.publish(TopicArn=topic, Message="after", Subject="A subject")
    came = inbox.wait(2)
    assert came.document["MessageId"] == sent["MessageId"]
    assert (came.document["Message"], came.document["Subject"]) == ("after", "A subject")
    assert came.headers.get("x-amz-sns-subscription-arn") == arn
    counts = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (counts["SubscriptionsConfirmed"], counts["SubscriptionsPending"]) == ("1", "0")


def _verified(document: dict[str, Any]) -> bool:
    """As the documentation tells subscribers to."""
    with urllib.request.urlopen(document["SigningCertURL"]) as answer:
        key = x509.load_pem_x509_certificate(answer.read()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    ours = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    asks = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    names = ours if document["Type"] == "Notification" else asks
    text = "".join(f"{name}\n{document[name]}\n" for name in names if name in document)
    used = hashes.SHA1() if document["SignatureVersion"] == "1" else hashes.SHA256()
    key.verify(base64.b64decode(document["Signature"]), text.encode(), padding.PKCS1v15(), used)
    return True


@pytest.mark.parametrize("version", ["1", "2"])
def test_messages_are_signed(sns: Any, topic: str, inbox: Listener, version: str) -> None:
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue=version)
    inbox.confirm(sns, topic)
    sns.publish(TopicArn=topic, Message="grüße, 世界", Subject="Subject")
    sns.publish(TopicArn=topic, Message="none")
    inbox.wait(3)
    assert [each.document["SignatureVersion"] for each in inbox.received] == [version] * 3
    assert all(_verified(each.document) for each in inbox.received)


def test_the_text_alone(sns: Any, topic: str, inbox: Listener) -> None:
    policy = json.dumps({"requestPolicy": {"headerContentType": "text/csv"}})
    inbox.confirm(sns, topic, Attributes={"RawMessageDelivery": "true", "DeliveryPolicy": policy})
    sns.publish(TopicArn=topic, Message=json.dumps({"default": "d", "http": "a,b"}), MessageStructure="json")
    came = inbox.wait(2)
    assert came.body == b"a,b"
    assert came.headers.get("x-amz-sns-rawdelivery") == "true"
    assert came.headers.get("content-type") == "text/csv"


def test_message_attributes_and_batches(sns: Any, topic: str, inbox: Listener) -> None:
    inbox.confirm(sns, topic)
    attributes = {
        "n": {"DataType": "Number", "StringValue": "1.5"},
        "b": {"DataType": "Binary", "BinaryValue": b"\0\1"},
    }
    entries = [{"Id": "1", "Message": "one", "MessageAttributes": attributes}, {"Id": "2", "Message": ""}]
    done = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in done["Successful"]] == ["1"]
    assert [(each["Id"], each["Code"]) for each in done["Failed"]] == [("2", "InvalidParameter")]
    shown = inbox.wait(2).document["MessageAttributes"]
    assert shown == {"n": {"Type": "Number", "Value": "1.5"}, "b": {"Type": "Binary", "Value": "AAE="}}


def test_what_fails_is_tried_again_and_then_given_up(served: Served, sns: Any, topic: str, inbox: Listener) -> None:
    retries = {"numRetries": 2, "minDelayTarget": 5, "maxDelayTarget": 5}
    policy = json.dumps({"http": {"defaultHealthyRetryPolicy": retries}})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DeliveryPolicy", AttributeValue=policy)
    inbox.confirm(sns, topic)
    inbox.statuses = [500, 429, 503]
    sent = sns.publish(TopicArn=topic, Message="hard to get through")["MessageId"]
    for count in (2, 3, 4):
        assert inbox.wait(count).document["MessageId"] == sent
        wait_until(lambda count=count: not inbox.statuses[4 - count :] and _settled(served))
        served.later(5)
    wait_until(lambda: _kept(served) == 0)
    sns.publish(TopicArn=topic, Message="next")
    assert inbox.wait(5).document["Message"] == "next", "what was given up is not sent any more"


def _settled(served: Served) -> bool:
    """Nothing is due now."""
    from clary.services.sns import outbox

    now = served.clock.now()
    return not served.platform.stores.records.read(lambda connection: outbox.due(connection, now, (), outbox.Busy(), 1))


def _kept(served: Served) -> int:
    import sqlalchemy as sa

    from clary.store.schema import sns_messages

    count = sa.select(sa.func.count()).select_from(sns_messages)
    return int(served.platform.stores.records.read(lambda connection: connection.execute(count).scalar_one()))


def test_what_cannot_be_sent_is_given_up_too(served: Served, sns: Any, topic: str, inbox: Listener) -> None:
    from clary.services.sns import messages, outbox

    arn, now = inbox.confirm(sns, topic), served.clock.now()
    bad = {**messages.asking("Notification", topic, now), "Message": "half a \ud800", "Attributes": {}}
    served.platform.stores.records.write(
        lambda connection: outbox.enter(connection, bad, [outbox.Recipient(arn, "127.0.0.1")], now)
    )
    for _ in range(4):  # once, and three times more
        served.later(0)
        wait_until(lambda: _settled(served))
        served.later(20)
    wait_until(lambda: _kept(served) == 0)
    assert len(inbox.received) == 1


@pytest.mark.parametrize("status", [301, 403, 404])
def test_a_refusal_is_final_and_redirects_are_not_followed(
    served: Served, sns: Any, topic: str, inbox: Listener, status: int
) -> None:
    with listener() as elsewhere:
        inbox.confirm(sns, topic)
        inbox.statuses, inbox.headers = [status], [("Location", elsewhere.url)]
        sns.publish(TopicArn=topic, Message="refused")
        inbox.wait(2)
        wait_until(lambda: _kept(served) == 0)
        served.later(3600)
        sns.publish(TopicArn=topic, Message="taken")
        assert inbox.wait(3).document["Message"] == "taken"
        assert not elsewhere.received


def test_whoever_has_the_link_ends_it_and_takes_it_up_again(sns: Any, topic: str, inbox: Listener) -> None:
    arn = inbox.confirm(sns, topic)
    sns.publish(TopicArn=topic, Message="one")
    link = inbox.wait(2).document["UnsubscribeURL"]
    assert link.endswith(f"/?Action=Unsubscribe&SubscriptionArn={arn}")
    with urllib.request.urlopen(link) as answer:
        assert b"UnsubscribeResponse" in answer.read()
    assert sns.list_subscriptions()["Subscriptions"] == []
    sns.publish(TopicArn=topic, Message="not for him")
    asks = inbox.wait(3)
    assert asks.kind == "UnsubscribeConfirmation"
    with urllib.request.urlopen(asks.document["SubscribeURL"]):
        pass
    sns.publish(TopicArn=topic, Message="again")
    assert inbox.wait(4).document["Message"] == "again"
    sns.unsubscribe(SubscriptionArn=arn)  # by its owner: for good
    assert refusal(sns.get_subscription_attributes, SubscriptionArn=arn)[:2] == ("NotFound", 404)
    sns.unsubscribe(SubscriptionArn=arn)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(asks.document["SubscribeURL"])


def test_authenticated_unsubscription(sns: Any, topic: str, inbox: Listener, served: Served) -> None:
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=inbox.url)
    token = inbox.wait(1).document["Token"]
    given = {"TopicArn": topic, "Token": token, "AuthenticateOnUnsubscribe": "true"}
    arn = sns.confirm_subscription(**given)["SubscriptionArn"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{served.url}/?Action=Unsubscribe&SubscriptionArn={arn}")
    assert caught.value.code == 403
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["PendingConfirmation"] == "false"
    other = served.client("sns", key="ALT")
    assert refusal(other.unsubscribe, SubscriptionArn=arn)[0] == "AuthorizationError"


def test_only_links_go_without_a_signature(served: Served, topic: str) -> None:
    for asked in (f"Publish&TopicArn={topic}&Message=m", "ListTopics", f"GetTopicAttributes&TopicArn={topic}"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{served.url}/?Action={asked}&Version=2010-03-31")
        assert caught.value.code == 403


@pytest.mark.parametrize("apart", [False, True], ids=["at-one-host", "of-another-account"])
def test_silent_endpoints_keep_nobody_else_waiting(served: Served, inbox: Listener, apart: bool) -> None:
    """Forty of them: all at one host, or each at its own, where only other accounts are spared."""
    import sqlalchemy as sa

    from clary.store.schema import sns_deliveries

    theirs = served.client("sns")
    mine = served.client("sns", "ALT") if apart else theirs
    topic = mine.create_topic(Name="mine")["TopicArn"]
    inbox.confirm(mine, topic)
    with contextlib.ExitStack() as silent:
        hosts = [
            silent.enter_context(socket.create_server((f"127.0.1.{number}", 0)))
            for number in (range(1, 41) if apart else [1])
        ]
        loud = theirs.create_topic(Name="theirs")["TopicArn"]
        for number in range(40):
            host, port = hosts[number % len(hosts)].getsockname()
            theirs.subscribe(TopicArn=loud, Protocol="http", Endpoint=f"http://{host}:{port}/{number}")
        mine.publish(TopicArn=topic, Message="heard")
        assert inbox.wait(2, 60).document["Message"] == "heard"
        failed = sa.select(sa.func.count()).select_from(sns_deliveries).where(sns_deliveries.c.attempts > 0)
        given_up = served.platform.stores.records.read(lambda connection: connection.scalar(failed))
        assert given_up == 0, "it was not sent before a silent one had been given up"
