"""Subscribe, confirm, unsubscribe."""

from __future__ import annotations

import re
import secrets
import uuid
from urllib.parse import urlsplit

from sqlalchemy.engine import Connection

from clary.auth.principals import ANONYMOUS
from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.sns import (
    faults,
    messages,
    naming,
    outbox,
    subscription_attributes,
    subscriptions,
    tokens,
    topic_records,
)
from clary.services.sns.subscriptions import CONFIRMED, DELETED, PENDING, SUBSCRIPTION
from clary.store import records
from clary.store.records import Record

operations = Operations()

BUILT = ("http", "https", "email", "email-json")
_NOT_BUILT = ("sqs", "lambda", "sms", "application", "firehose")
_MOST = 1000  # of a topic: each Publish looks at all of them
_LONGEST = 2048
# An atom with dots, which no reader takes for an encoded word, at a host.
_ADDRESS = re.compile(r"(?!.*=\?)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}", re.ASCII)


@operations.handles("Subscribe")
def subscribe(call: Call, given: Document) -> Document:
    protocol, endpoint = given["Protocol"], given.get("Endpoint") or ""
    topic_arn = naming.topic(call, given["TopicArn"])
    attributes: Document = {}

    def commit(connection: Connection) -> Record:
        topic = topic_records.by_arn(connection, topic_arn)
        if topic is None:
            raise faults.no_topic()
        _check_endpoint(protocol, endpoint)
        attributes.update(subscription_attributes.of_new(given.get("Attributes") or {}, protocol))
        present = records.find(connection, SUBSCRIPTION, call.account, call.region, _name(topic_arn, given))
        if present is not None and present.status != DELETED:
            _check_same(present, attributes, given)
            found = present
        else:
            if present is not None:
                subscriptions.end(connection, present)
            found = _new(connection, call, topic_arn, given, attributes)
        if found.status == PENDING:
            _ask(connection, call, found)
        return found

    found = call.platform.stores.records.write(commit)
    call.platform.wake()
    shown = found.status == CONFIRMED or given.get("ReturnSubscriptionArn")
    return {"SubscriptionArn": found.arn if shown else "pending confirmation"}


def _name(topic_arn: str, given: Document) -> str:
    return subscriptions.name_of(topic_arn, given["Protocol"], given.get("Endpoint") or "")


def _check_endpoint(protocol: str, endpoint: str) -> None:
    """Raises InvalidParameter."""
    for refused in _NOT_BUILT:
        if protocol == refused:
            raise faults.not_built("Subscribe", f"Protocol {refused}")
    if protocol not in BUILT:
        raise faults.invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    if len(endpoint) > _LONGEST:
        raise faults.invalid("Endpoint is too long")
    if protocol.startswith("email"):
        if not _ADDRESS.fullmatch(endpoint):
            raise faults.invalid("Email address")
        return
    if not _is_url(endpoint, protocol):
        raise faults.invalid("Endpoint must match the specified protocol")
    if "@" in urlsplit(endpoint).netloc:
        raise faults.not_built("Subscribe", "Endpoint with a user name")


def _is_url(endpoint: str, scheme: str) -> bool:
    if not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint:
        return False
    try:
        parts = urlsplit(endpoint)
        return parts.scheme == scheme and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _check_same(present: Record, attributes: Document, given: Document) -> None:
    if given.get("Attributes") and present.document["Attributes"] != attributes:
        raise faults.invalid("Attributes Reason: Subscription already exists with different attributes")


def _new(connection: Connection, call: Call, topic_arn: str, given: Document, attributes: Document) -> Record:
    if sum(subscriptions.count(connection, topic_arn).values()) >= _MOST:
        message = f"Subscription limit ({_MOST}) exceeded for this topic"
        raise ServiceError("SubscriptionLimitExceeded", message, 403)
    now = call.platform.clock.now()
    document = {
        "TopicArn": topic_arn,
        "Protocol": given["Protocol"],
        "Endpoint": given["Endpoint"],
        "Principal": call.principal.arn,
        "Nonce": secrets.token_hex(16),
        "Authenticated": False,
        "AuthenticateOnUnsubscribe": False,
        "Attributes": attributes,
    }
    made = Record(
        SUBSCRIPTION,
        call.account,
        call.region,
        f"{topic_arn}:{uuid.uuid4()}",
        _name(topic_arn, given),
        created=now,
        modified=now,
        document=document,
        parent=topic_arn,
        **subscriptions.timing(PENDING, now),
    )
    records.insert(connection, made)
    return made


def _ask(connection: Connection, call: Call, subscription: Record) -> None:
    """Sends what is to be confirmed by whoever gets it."""
    kind = messages.UNSUBSCRIBED if subscription.status == DELETED else messages.CONFIRMATION
    now = call.platform.clock.now()
    content = messages.asking(kind, subscription.document["TopicArn"], now)
    outbox.enter(connection, content, [outbox.recipient(subscription)], now)


@operations.handles("ConfirmSubscription")
def confirm_subscription(call: Call, given: Document) -> Document:
    """Whoever has the token may, signed or not."""
    topic_arn = _topic(call, given["TopicArn"])
    arn = tokens.subscription_of(topic_arn, given["Token"])
    if arn is None:
        raise faults.invalid("Token")
    signed, now = call.principal != ANONYMOUS, call.platform.clock.now()
    strict = signed and str(given.get("AuthenticateOnUnsubscribe", "")).lower() == "true"

    def commit(connection: Connection) -> None:
        found = subscriptions.by_arn(connection, arn)
        if found is None or not tokens.is_good(call.platform.secrets, found, given["Token"], now):
            raise ServiceError("InvalidParameter", "Invalid token")
        if found.status != CONFIRMED:
            document = {**found.document, "Authenticated": signed, "AuthenticateOnUnsubscribe": strict}
            timing = subscriptions.timing(CONFIRMED, now)
            records.replace(connection, found, document=document, modified=now, **timing)

    call.platform.stores.records.write(commit)
    return {"SubscriptionArn": arn}


def _topic(call: Call, text: str) -> str:
    """Of any region, where nothing signed says which one is meant. Raises InvalidParameter."""
    parts = text.split(":")
    elsewhere = call.principal != ANONYMOUS and parts[3:4] != [call.region]
    if len(parts) != 6 or parts[:3] != ["arn", "aws", "sns"] or elsewhere:
        raise faults.invalid("Topic")
    return text


@operations.handles("Unsubscribe")
def unsubscribe(call: Call, given: Document) -> Document:
    """One that is not there is fine. Its owner, or the topic's, ends it for good; anybody else who knows its ARN ends
    it too, unless it was confirmed otherwise, and then whoever got the messages may take it up again."""
    arn = given["SubscriptionArn"]
    topic_arn = naming.subscription(arn)
    now = call.platform.clock.now()

    def commit(connection: Connection) -> None:
        found = subscriptions.by_arn(connection, arn)
        if found is None or found.status == DELETED:
            return
        topic = topic_records.by_arn(connection, topic_arn)
        if call.account and call.account in (found.account, topic.account if topic else ""):
            subscriptions.end(connection, found)
            return
        if found.document["AuthenticateOnUnsubscribe"] or found.status == PENDING:
            raise ServiceError(
                "AuthorizationError", "Cannot unsubscribe a subscription that requires authentication", 403
            )
        document = {**found.document, "Nonce": secrets.token_hex(16)}
        outbox.drop(connection, arn)
        timing = subscriptions.timing(DELETED, now)
        _ask(connection, call, records.replace(connection, found, document=document, modified=now, **timing))

    call.platform.stores.records.write(commit)
    call.platform.wake()
    return {}
