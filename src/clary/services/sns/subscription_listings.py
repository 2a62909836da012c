"""Subscriptions as they are shown, and what can be set on them."""

from __future__ import annotations

import json

from sqlalchemy.engine import Connection

from clary.services.operation import Call, Document, Operations
from clary.services.sns import (
    delivery_policies,
    paging,
    subscription_attributes,
    subscriptions,
    topic_records,
)
from clary.services.sns.subscriptions import DELETED, PENDING, SUBSCRIPTION
from clary.store import records
from clary.store.records import Record
from clary.store.schema import records as table

operations = Operations()

_THERE = (table.c.kind == SUBSCRIPTION, table.c.status != DELETED)


@operations.handles("ListSubscriptions")
def list_subscriptions(call: Call, given: Document) -> Document:
    mine = (table.c.account == call.account, table.c.region == call.region)
    return paging.page(call, given, "Subscriptions", _listed, *_THERE, *mine)


@operations.handles("ListSubscriptionsByTopic")
def list_subscriptions_by_topic(call: Call, given: Document) -> Document:
    topic = call.platform.stores.records.read(lambda connection: topic_records.find(connection, call, given))
    return paging.page(call, given, "Subscriptions", _listed, *_THERE, table.c.parent == topic.arn)


def _listed(subscription: Record) -> Document:
    document = subscription.document
    return {
        "SubscriptionArn": "PendingConfirmation" if subscription.status == PENDING else subscription.arn,
        "Owner": subscription.account,
        "Protocol": document["Protocol"],
        "Endpoint": document["Endpoint"],
        "TopicArn": document["TopicArn"],
    }


@operations.handles("GetSubscriptionAttributes")
def get_subscription_attributes(call: Call, given: Document) -> Document:
    def read(connection: Connection) -> tuple[Record, Record | None]:
        found = subscriptions.own(connection, call, given["SubscriptionArn"])
        return found, topic_records.by_arn(connection, found.document["TopicArn"])

    found, topic = call.platform.stores.records.read(read)
    document, own = found.document, found.document["Attributes"]
    shown = {
        "RawMessageDelivery": "false",
        **({"FilterPolicyScope": subscription_attributes.ATTRIBUTES} if "FilterPolicy" in own else {}),
        **own,
        "SubscriptionArn": found.arn,
        "TopicArn": document["TopicArn"],
        "Protocol": document["Protocol"],
        "Endpoint": document["Endpoint"],
        "Owner": found.account,
        "SubscriptionPrincipal": document["Principal"],
        "PendingConfirmation": _truth(found.status == PENDING),
        "ConfirmationWasAuthenticated": _truth(document["Authenticated"]),
    }
    if document["Protocol"].startswith("http"):
        above = topic.document["Attributes"].get("DeliveryPolicy") if topic else None
        shown["EffectiveDeliveryPolicy"] = json.dumps(delivery_policies.effective(above, own.get("DeliveryPolicy")))
    return {"Attributes": shown}


def _truth(value: bool) -> str:
    return "true" if value else "false"


@operations.handles("SetSubscriptionAttributes")
def set_subscription_attributes(call: Call, given: Document) -> Document:
    name, value = given["AttributeName"], given.get("AttributeValue") or ""

    def commit(connection: Connection) -> None:
        found = subscriptions.own(connection, call, given["SubscriptionArn"])
        own, protocol = found.document["Attributes"], found.document["Protocol"]
        scope = own.get("FilterPolicyScope", subscription_attributes.ATTRIBUTES)
        changed = subscription_attributes.changed(name, value, protocol, scope)
        if name == "FilterPolicyScope":  # what is set has to be good in the new one too
            subscription_attributes.changed("FilterPolicy", own.get("FilterPolicy", ""), protocol, value)
        left = {each: text for each, text in {**own, **changed}.items() if text is not None}
        document = {**found.document, "Attributes": left}
        now = call.platform.clock.now()
        records.replace(connection, found, document=document, modified=now, queue=found.queue, until=found.until)

    call.platform.stores.records.write(commit)
    return {}
