"""ARNs of topics and subscriptions."""

from __future__ import annotations

import re

from clary.arns import Arn
from clary.services.operation import Call
from clary.services.sns import faults

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_FIFO = ".fifo"


def new_topic(call: Call, name: str) -> str:
    """The ARN of a topic that is to be. Raises InvalidParameter."""
    if name.endswith(_FIFO) and _NAME.fullmatch(name.removesuffix(_FIFO)):
        raise faults.not_built("CreateTopic", "FIFO topics")
    if not _NAME.fullmatch(name):
        raise faults.invalid("Topic Name")
    return topic_arn(call, name)


def topic_arn(call: Call, name: str) -> str:
    return str(Arn("sns", call.region, call.account, name))


def topic(call: Call, text: str, member: str = "TopicArn") -> str:
    """The ARN of a topic of this region. Raises InvalidParameter."""
    parts = text.split(":")
    if len(parts) != 6 or parts[:2] != ["arn", "aws"] or parts[2] != "sns" or parts[3] != call.region:
        raise faults.bad_arn(member, text)
    return text


def subscription(text: str, region: str = "") -> str:
    """The ARN of the topic that a subscription's ARN names, of `region` where one is meant. Raises InvalidParameter."""
    parts = text.split(":")
    if len(parts) < 6 or parts[:3] != ["arn", "aws", "sns"] or region not in ("", parts[3]):
        raise faults.bad_arn("SubscriptionArn", text)
    return ":".join(parts[:6])
