"""Topics, and what is set on them."""

from __future__ import annotations

import json

from sqlalchemy.engine import Connection

from clary.services import tagging
from clary.services.iam import principals
from clary.services.operation import Call, Document, Operations
from clary.services.sns import (
    delivery_policies,
    faults,
    naming,
    paging,
    subscriptions,
    tags,
    topic_attributes,
    topic_policies,
    topic_records,
)
from clary.services.sns.topic_records import TOPIC
from clary.store import records
from clary.store.records import Record
from clary.store.schema import records as table

operations = Operations()

_NO_DATA_PROTECTION = "DataProtectionPolicy"


@operations.handles("CreateTopic")
def create_topic(call: Call, given: Document) -> Document:
    attributes = topic_attributes.of_new(given.get("Attributes") or {})
    arn, named = naming.new_topic(call, given["Name"]), tags.checked(given.get("Tags") or ())
    if given.get("DataProtectionPolicy"):
        raise faults.not_built("CreateTopic", _NO_DATA_PROTECTION)
    now = call.platform.clock.now()
    document: Document = {"Attributes": topic_policies.pinned(call, attributes)}
    topic = Record(TOPIC, call.account, call.region, arn, given["Name"], "", now, now, document)

    def commit(connection: Connection) -> None:
        present = topic_records.by_arn(connection, arn)
        if present is not None:
            _check_same(connection, present, document["Attributes"], named, given)
            return
        records.insert(connection, topic)
        tags.write(connection, arn, named)

    call.platform.stores.records.write(commit)
    return {"TopicArn": arn}


def _check_same(
    connection: Connection, present: Record, attributes: Document, named: dict[str, str], given: Document
) -> None:
    """A topic may be created again, as it is. Raises InvalidParameter."""
    there = present.document["Attributes"]
    if any(there.get(name, topic_attributes.DEFAULTS.get(name)) != value for name, value in attributes.items()):
        raise faults.invalid("Attributes Reason: Topic already exists with different attributes")
    if given.get("Tags") and tagging.of(connection, present.arn) != named:
        raise faults.invalid("Tags Reason: Topic already exists with different tags")


@operations.handles("DeleteTopic")
def delete_topic(call: Call, given: Document) -> Document:
    """One that is not there is fine. Its subscriptions end, and what was not delivered yet will not be."""
    arn = naming.topic(call, given["TopicArn"])

    def commit(connection: Connection) -> None:
        topic = topic_records.by_arn(connection, arn)
        if topic is None:
            return
        subscriptions.end_all(connection, arn)
        tagging.drop_all(connection, arn)
        records.delete(connection, topic)

    call.platform.stores.records.write(commit)
    return {}


@operations.handles("ListTopics")
def list_topics(call: Call, given: Document) -> Document:
    mine = (table.c.kind == TOPIC, table.c.account == call.account, table.c.region == call.region)
    return paging.page(call, given, "Topics", lambda topic: {"TopicArn": topic.arn}, *mine)


@operations.handles("GetTopicAttributes")
def get_topic_attributes(call: Call, given: Document) -> Document:
    def read(connection: Connection) -> tuple[Record, str, dict[str, int]]:
        topic = topic_records.find(connection, call, given)
        policy = principals.show(connection, topic_policies.text_of(topic))
        return topic, policy, subscriptions.count(connection, topic.arn)

    topic, policy, counts = call.platform.stores.records.read(read)
    own = topic.document["Attributes"]
    return {
        "Attributes": {
            **topic_attributes.DEFAULTS_SHOWN,
            **own,
            "Policy": policy,
            "Owner": topic.account,
            "TopicArn": topic.arn,
            "EffectiveDeliveryPolicy": json.dumps(delivery_policies.of_topic(own.get("DeliveryPolicy"))),
            "SubscriptionsConfirmed": str(counts.get(subscriptions.CONFIRMED, 0)),
            "SubscriptionsPending": str(counts.get(subscriptions.PENDING, 0)),
            "SubscriptionsDeleted": str(counts.get(subscriptions.DELETED, 0)),
        }
    }


@operations.handles("SetTopicAttributes")
def set_topic_attributes(call: Call, given: Document) -> Document:
    changed = topic_attributes.changed(given["AttributeName"], given.get("AttributeValue") or "")
    pinned = topic_policies.pinned(call, changed)
    topic_records.change(call, given, lambda *_: pinned)
    return {}
