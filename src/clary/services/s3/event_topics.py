"""Topics that buckets tell of events: whether they are there and let S3 publish, and what they are sent."""

from __future__ import annotations

import functools
import json
import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, Standing, decide
from clary.auth.principals import Principal
from clary.context import Platform
from clary.errors import ServiceError
from clary.services.operation import Call, Document
from clary.services.s3.index import Bucket
from clary.services.sns import messages, publishing, subscriptions, topic_policies
from clary.services.sns.outbox import Content, Recipient
from clary.store.records import Record

_LOG = logging.getLogger(__name__)

SERVICE = Principal("service", "", "s3.amazonaws.com", "")

_SUBJECT = "Amazon S3 Notification"
_ABSENT = "The destination topic does not exist"
_DENIED = "Permissions on the destination topic do not allow S3 to publish notifications from this bucket"


class Notice(NamedTuple):
    """`text` is what a bucket (of `account`) tells a topic, `message` the identifier under which it does."""

    bucket: str
    account: str
    topic: str
    text: Document
    message: str


def check(platform: Platform, bucket: Bucket, topics: Sequence[str]) -> None:
    """Raises InvalidArgument that names all topics which cannot be told."""

    def read(connection: Connection) -> list[tuple[str, str]]:
        found = [(topic, _obstacle(connection, bucket.name, bucket.account, topic)) for topic in topics]
        return [(topic, why) for topic, why in found if why]

    members: dict[str, object] = {}
    for number, (topic, why) in enumerate(platform.stores.records.read(read), 1):
        members |= {f"ArgumentName{number}": topic, f"ArgumentValue{number}": why}
    if members:
        message = "Unable to validate the following destination configurations"
        raise ServiceError("InvalidArgument", message, 400, members)


def _obstacle(connection: Connection, bucket: str, account: str, topic: str) -> str:
    """Why S3 may not publish there for a bucket of `account`; empty when it may."""
    side = topic_policies.side(connection, topic)
    if side is None:
        return _ABSENT
    context = {"aws:sourcearn": (f"arn:aws:s3:::{bucket}",), "aws:sourceaccount": (account,)}
    standing = Standing(resource=side.policy, resource_account=side.account, resource_decides=True)
    return "" if decide(Ask(SERVICE, "SNS:Publish", topic, context), standing).allowed else _DENIED


def send_test(call: Call, bucket: Bucket, topics: Sequence[str]) -> None:
    """Tells each of the topics that may be told that it will be."""
    now = call.platform.clock.now()
    text = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": time_text(now),
        "Bucket": bucket.name,
        "RequestId": call.request_id,
        "HostId": call.request_id,
    }

    notices = [Notice(bucket.name, bucket.account, topic, text, str(uuid.uuid4())) for topic in topics]
    tell(call.platform, notices, now)
    call.platform.wake()


def tell(platform: Platform, notices: Sequence[Notice], now: float) -> list[Notice]:
    """Publishes each, and returns those that it does not: S3 may not, or the topic's filters would compare too much. To
    tell again changes nothing as long as the message is not delivered. Who gets what is found out before the
    transaction: nobody else waits for that."""
    there: dict[tuple[str, str, str], Sequence[Record] | None] = {}
    chosen: list[tuple[Content, Sequence[Recipient]]] = []
    untold = []
    for each in notices:
        place = each.bucket, each.account, each.topic
        if place not in there:
            there[place] = platform.stores.records.read(functools.partial(_subscribed, place=place))
        subscribed = there[place]
        try:
            if subscribed is not None:
                chosen += publishing.wanting([_content(each, now)], subscribed)
                continue
        except ServiceError as error:
            _LOG.info("%s", error.message)
        untold.append(each)
    platform.stores.records.write(lambda connection: publishing.enter(connection, chosen, now))
    return untold


def _subscribed(connection: Connection, place: tuple[str, str, str]) -> Sequence[Record] | None:
    """Who may get what a bucket (its name and account) tells a topic; None when S3 may not publish there."""
    return None if _obstacle(connection, *place) else subscriptions.confirmed(connection, place[2])


def _content(notice: Notice, now: float) -> Content:
    given: dict[str, Any] = {"Message": json.dumps(notice.text, separators=(",", ":")), "Subject": _SUBJECT}
    return {**messages.notification(notice.topic, given, now), "MessageId": notice.message}


def time_text(seconds: float) -> str:
    """As events tell it."""
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z"
