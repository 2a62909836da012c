"""Buckets tell topics what happens in them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

from api.access.people import document, refusal
from api.s3.conftest import MAIN
from api.sns.conftest import Served
from api.sns.listener import Listener
from clary.auth.principals import canonical_id
from clary.services.s3 import event_sender, event_topics, lifecycle_sweep
from clary.services.sns import filtering
from whole_server import wait_until

BUCKET = "telling"


def letting(topic: str, bucket: str = BUCKET) -> str:
    """A topic policy by which S3 may publish for the bucket."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "SNS:Publish",
            "Resource": topic,
            "Condition": {
                "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
                "StringEquals": {"aws:SourceAccount": MAIN},
            },
        }
    )


def rule(topic: str, *events: str, prefix: str | None = None, suffix: str | None = None, **more: Any) -> dict[str, Any]:
    ends = [("prefix", prefix), ("suffix", suffix)]
    rules = [{"Name": name, "Value": value} for name, value in ends if value is not None]
    return {
        "TopicArn": topic,
        "Events": [f"s3:{event}" for event in events],
        **({"Filter": {"Key": {"FilterRules": rules}}} if rules else {}),
        **more,
    }


class Told:
    """What comes to a listener of the topic, an event at a time."""

    def __init__(self, inbox: Listener) -> None:
        self._inbox = inbox
        self._seen = len(inbox.received)

    def next(self, count: int = 1) -> list[dict[str, Any]]:
        """The next `count` events, in the order in which they happened."""
        self._inbox.wait(self._seen + count)
        came = self._inbox.received[self._seen : self._seen + count]
        self._seen += count
        records = [json.loads(each.document["Message"])["Records"][0] for each in came]
        return sorted(records, key=lambda each: each["s3"]["object"].get("sequencer", ""))

    def names(self, count: int = 1) -> list[str]:
        return [each["eventName"] for each in self.next(count)]


@pytest.fixture
def s3(served: Served) -> BaseClient:
    made: BaseClient = served.client("s3")
    made.create_bucket(Bucket=BUCKET)  # type: ignore[attr-defined] # a client of whatever kind
    return made


@pytest.fixture
def tell(s3: Any, sns: Any, topic: str, inbox: Listener) -> Callable[..., Told]:
    """tell("ObjectCreated:*", ...) -> what is told from now on."""
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=letting(topic))
    inbox.confirm(sns, topic)

    def configure(*events: str, **ends: str) -> Told:
        before = len(inbox.received)
        wanted = {"TopicConfigurations": [rule(topic, *events, **ends, Id="mine")]}
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=wanted)
        came = inbox.wait(before + 1)
        test = json.loads(came.document["Message"])
        assert (test["Event"], test["Bucket"], test["Service"]) == ("s3:TestEvent", BUCKET, "Amazon S3")
        assert came.document["Subject"] == "Amazon S3 Notification"
        return Told(inbox)

    return configure


def test_the_event(s3: Any, tell: Callable[..., Told]) -> None:
    told = tell("ObjectCreated:*")
    answer = s3.put_object(Bucket=BUCKET, Key="a b/ü.csv", Body=b"12345")
    (event,) = told.next()
    request = answer["ResponseMetadata"]["RequestId"]
    assert event["responseElements"] == {"x-amz-request-id": request, "x-amz-id-2": request}
    assert event["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert event["userIdentity"] == {"principalId": f"AWS:{MAIN}"}
    assert (event["eventVersion"], event["eventSource"], event["awsRegion"]) == ("2.1", "aws:s3", "us-east-1")
    assert (event["s3"]["s3SchemaVersion"], event["s3"]["configurationId"]) == ("1.0", "mine")
    owner = {"principalId": canonical_id(MAIN)}
    assert event["s3"]["bucket"] == {"name": BUCKET, "ownerIdentity": owner, "arn": f"arn:aws:s3:::{BUCKET}"}
    shown = event["s3"]["object"]
    assert len(shown.pop("sequencer")) == 18
    assert shown == {"key": "a+b/%C3%BC.csv", "size": 5, "eTag": answer["ETag"].strip('"')}


def test_what_is_told_of(served: Served, s3: Any, tell: Callable[..., Told]) -> None:
    told = tell("ObjectCreated:*", "ObjectRemoved:*", "ObjectTagging:*", "ObjectAcl:Put")
    this = {"Bucket": BUCKET, "Key": "k"}
    s3.put_object(**this, Body=b"1")
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=this)
    upload = {**this, "UploadId": s3.create_multipart_upload(**this)["UploadId"]}
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]}
    for _ in range(2):  # whoever asks again made it once
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copy"}, {"Key": "never there"}]})
    s3.delete_object(**this)
    s3.delete_object(**this)
    names = ["Created:Put", "Created:Copy", "Created:CompleteMultipartUpload", "Removed:Delete", "Removed:Delete"]
    assert told.names(5) == [f"Object{name}" for name in names]
    _upload_by_form(s3)
    assert told.names() == ["ObjectCreated:Post"]
    s3.put_object_tagging(**this | {"Key": "form"}, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    (event,) = told.next()
    assert (event["eventName"], event["eventVersion"]) == ("ObjectTagging:Put", "2.3")
    s3.delete_object_tagging(Bucket=BUCKET, Key="form")
    assert told.names() == ["ObjectTagging:Delete"]
    s3.put_bucket_ownership_controls(
        Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    s3.put_object_acl(Bucket=BUCKET, Key="form", ACL="private")
    assert told.names() == ["ObjectAcl:Put"]


def _upload_by_form(s3: Any) -> None:
    form = s3.generate_presigned_post(BUCKET, "form")
    edge = "form-edge"
    fields = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items()
    ]
    file = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbytes\r\n--{edge}--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    with urllib.request.urlopen(urllib.request.Request(form["url"], "".join([*fields, file]).encode(), headers)):
        pass


def test_versions(s3: Any, tell: Callable[..., Told]) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    told = tell("ObjectCreated:*", "ObjectRemoved:*")
    version = s3.put_object(Bucket=BUCKET, Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    s3.delete_object(Bucket=BUCKET, Key="k", VersionId=version)
    put, marked, gone = told.next(3)
    assert [each["eventName"].partition(":")[2] for each in (put, marked, gone)] == [
        *("Put", "DeleteMarkerCreated", "Delete")
    ]
    assert [each["s3"]["object"]["versionId"] for each in (put, marked, gone)] == [version, marker, version]


def test_filters(s3: Any, tell: Callable[..., Told]) -> None:
    told = tell("ObjectCreated:Put", prefix="in/", suffix=".csv")
    for key in ("in/a.txt", "out/b.csv", "in/c.csv"):
        s3.put_object(Bucket=BUCKET, Key=key)
    s3.copy_object(Bucket=BUCKET, Key="in/d.csv", CopySource={"Bucket": BUCKET, "Key": "in/c.csv"})
    s3.put_object(Bucket=BUCKET, Key="in/e.csv")
    assert [each["s3"]["object"]["key"] for each in told.next(2)] == ["in/c.csv", "in/e.csv"]
    shown = s3.get_bucket_notification_configuration(Bucket=BUCKET)["TopicConfigurations"][0]
    rules = [{"Name": "Prefix", "Value": "in/"}, {"Name": "Suffix", "Value": ".csv"}]
    assert (shown["Id"], shown["Filter"]["Key"]["FilterRules"]) == ("mine", rules)


def test_nothing_is_told_any_more(served: Served, s3: Any, sns: Any, topic: str, tell: Callable[..., Told]) -> None:
    told = tell("ObjectCreated:*")
    sns.remove_permission(TopicArn=topic, Label="none")
    nobody = letting(topic, "another-bucket")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=nobody)
    s3.put_object(Bucket=BUCKET, Key="not let")
    wait_until(lambda: not event_sender.send(served.platform))
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=letting(topic))
    s3.put_object(Bucket=BUCKET, Key="let")
    assert told.next()[0]["s3"]["object"]["key"] == "let"
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="silent")
    sns.publish(TopicArn=topic, Message='{"Records": [{"eventName": "next"}]}')
    with pytest.raises(KeyError):  # the next that comes is no event of a bucket
        told.names()


@pytest.fixture
def refused(s3: Any) -> Callable[..., tuple[str, dict[str, str]]]:
    def put(*rules: dict[str, Any], **more: Any) -> tuple[str, dict[str, str]]:
        given = {"Bucket": BUCKET, "NotificationConfiguration": {"TopicConfigurations": list(rules)}, **more}
        with pytest.raises(s3.exceptions.ClientError) as caught:
            s3.put_bucket_notification_configuration(**given)
        error = caught.value.response["Error"]
        return error["Message"], error

    return put


def test_topics_that_cannot_be_told(
    s3: Any, sns: Any, topic: str, refused: Callable[..., tuple[str, dict[str, str]]]
) -> None:
    absent = f"arn:aws:sns:us-east-1:{MAIN}:absent"
    message, error = refused(rule(topic, "ObjectCreated:*"), rule(absent, "ObjectRemoved:*"))
    assert message == "Unable to validate the following destination configurations"
    assert (error["ArgumentName1"], error["ArgumentName2"]) == (topic, absent)
    assert error["ArgumentValue2"] == "The destination topic does not exist"
    assert error["ArgumentValue1"].startswith("Permissions on the destination topic do not allow S3")
    given = {"TopicConfigurations": [rule(absent, "ObjectCreated:*", Id="id123")]}
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration=given, SkipDestinationValidation=True
    )
    assert s3.get_bucket_notification_configuration(Bucket=BUCKET)["TopicConfigurations"][0]["Id"] == "id123"
    assert refused(rule("absent", "ObjectCreated:*"))[0] == "The ARN could not be parsed"
    elsewhere = topic.replace("us-east-1", "eu-west-1")
    assert "destination service region" in refused(rule(elsewhere, "ObjectCreated:*"))[0]


def test_configurations_that_are_none(topic: str, refused: Callable[..., tuple[str, dict[str, str]]], s3: Any) -> None:
    def says(text: str, *rules: dict[str, Any]) -> None:
        assert text in refused(*rules)[0]

    says("not supported", rule(topic, "ObjectEaten:*"))
    says("not supported", rule(topic, "ObjectCreated:Eaten"))
    says("Configurations overlap", rule(topic, "ObjectCreated:*"), rule(topic, "ObjectCreated:Put"))
    created = "ObjectCreated:*"
    says("ambiguously", rule(topic, created, prefix="a"), rule(topic, created, prefix="ab"))
    says("ambiguously", rule(topic, created, suffix=".c"), rule(topic, created, prefix="ab"))
    says(
        "more than one prefix",
        {
            **rule(topic, created),
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "a"}, {"Name": "Prefix", "Value": "b"}]}},
        },
    )
    says(
        "either prefix or suffix",
        {**rule(topic, created), "Filter": {"Key": {"FilterRules": [{"Name": "infix", "Value": "a"}]}}},
    )
    apart = [rule(topic, created, prefix="a/", suffix=".x"), rule(topic, created, prefix="a/", suffix=".y")]
    says("Unable to validate", *apart, rule(topic, "ObjectRemoved:*"))
    for member in ("QueueConfigurations", "LambdaFunctionConfigurations"):
        arn = {"QueueConfigurations": "QueueArn", "LambdaFunctionConfigurations": "LambdaFunctionArn"}[member]
        given = {member: [{arn: "arn:aws:sqs:us-east-1:123456789012:q", "Events": ["s3:ObjectCreated:*"]}]}
        code = refusal(s3.put_bucket_notification_configuration, Bucket=BUCKET, NotificationConfiguration=given)
        assert (code[0], member in code[2]) == ("NotImplemented", True)
    given = {"EventBridgeConfiguration": {}}
    code = refusal(s3.put_bucket_notification_configuration, Bucket=BUCKET, NotificationConfiguration=given)
    assert (code[0], "EventBridgeConfiguration" in code[2]) == ("NotImplemented", True)


def test_an_event_that_is_told_again_before_it_came_comes_once(
    served: Served, sns: Any, topic: str, inbox: Listener
) -> None:
    """As after a kill between handing it on and forgetting it."""
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=letting(topic))
    inbox.confirm(sns, topic)

    notice = event_topics.Notice(BUCKET, MAIN, topic, {"Records": []}, "one-identifier")
    for _ in range(2):
        assert event_topics.tell(served.platform, [notice], served.clock.now()) == []
    served.signal()
    sns.publish(TopicArn=topic, Message="behind it")
    inbox.wait(3)
    assert sorted(each.document["Message"] for each in inbox.received[1:]) == ["behind it", '{"Records":[]}']


def test_what_lifecycle_rules_do(served: Served, s3: Any, tell: Callable[..., Told]) -> None:
    told = tell("LifecycleExpiration:*", "LifecycleTransition")
    rules = [
        {"Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Days": 1}},
        {
            "Status": "Enabled",
            "Filter": {"Prefix": "cold/"},
            "Transitions": [{"Days": 30, "StorageClass": "GLACIER_IR"}],
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})
    for key in ("old/a", "cold/b"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * 200_000)
    served.later(40 * 86_400)
    assert lifecycle_sweep.sweep(served.platform) == 2
    events = {each["s3"]["object"]["key"]: each for each in told.next(2)}
    assert events["old/a"]["eventName"] == "LifecycleExpiration:Delete"
    assert events["cold/b"]["eventName"] == "LifecycleTransition"
    assert {each["userIdentity"]["principalId"] for each in events.values()} == {"s3.amazonaws.com"}
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="old/c")
    served.later(3 * 86_400)
    lifecycle_sweep.sweep(served.platform)
    assert told.names() == ["LifecycleExpiration:DeleteMarkerCreated"]


def test_filters_of_events_are_matched_while_others_write(
    served: Served, s3: Any, sns: Any, topic: str, inbox: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a topic's owner asks for is worked out before the transaction."""
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=letting(topic))
    inbox.confirm(sns, topic)
    compared, wanted = [], filtering.wanted

    def watched(*given: Any) -> bool:
        served.platform.stores.records.write(lambda _: compared.append(True))  # would wait for a transaction of its own
        return wanted(*given)

    monkeypatch.setattr(filtering, "wanted", watched)
    notice = event_topics.Notice(BUCKET, MAIN, topic, {"Records": []}, "identifier")
    assert event_topics.tell(served.platform, [notice], served.clock.now()) == []
    assert compared
