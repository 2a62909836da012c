"""Publish and PublishBatch: a message is kept for each subscription that wants it, in one transaction, before its
sender has his answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.sns import faults, filtering, messages, naming, outbox, subscriptions, topic_records
from clary.services.sns.outbox import Content, Recipient
from clary.store.records import Record

operations = Operations()

Chosen = Sequence[tuple[Content, Sequence[Recipient]]]

_MOST_ENTRIES = 10
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_ID = 80


@operations.handles("Publish")
def publish(call: Call, given: Document) -> Document:
    content = messages.notification(_topic(call, given), given, call.platform.clock.now())
    _check_duplicates(given)
    _send(call, [content])
    return {"MessageId": content["MessageId"]}


def _topic(call: Call, given: Document) -> str:
    """The ARN that is published to. Raises InvalidParameter, NotFound."""
    if given.get("PhoneNumber"):
        raise faults.not_built("Publish", "PhoneNumber")
    named = [given[member] for member in ("TopicArn", "TargetArn") if given.get(member)]
    if len(named) != 1:
        raise faults.invalid("TopicArn or TargetArn Reason: exactly one is required")
    if ":endpoint/" in named[0]:
        raise faults.invalid("TargetArn Reason: No endpoint found for the target arn specified")
    return naming.topic(call, named[0])


def _check_duplicates(given: Document) -> None:
    """Only FIFO topics have that."""
    if given.get("MessageDeduplicationId"):
        raise faults.invalid(
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid "
            "for this topic type"
        )


def _send(call: Call, contents: Sequence[Content]) -> None:
    database, topic = call.platform.stores.records, contents[0]["TopicArn"]
    there = database.read(lambda connection: subscriptions.confirmed(connection, topic))
    chosen = wanting(contents, there)  # between the transactions: nobody else waits for that

    def commit(connection: Connection) -> None:
        if topic_records.by_arn(connection, topic) is None:
            raise faults.no_topic()
        enter(connection, chosen, call.platform.clock.now())

    database.write(commit)
    call.platform.wake()


def wanting(contents: Sequence[Content], there: Sequence[Record]) -> Chosen:
    """Messages, all of one topic with the confirmed subscriptions `there`, and who wants them. Raises
    InvalidParameter when to find that out is too much."""
    protocols, budget = {each.document["Protocol"] for each in there}, filtering.Budget()
    chosen = []
    try:
        for content in contents:
            bodies = {name: filtering.Body(messages.text_for(content, name), budget) for name in protocols}
            chosen.append((content, [outbox.recipient(each) for each in there if _wants(each, content, bodies)]))
    except filtering.TooMuch:
        raise faults.invalid("Message Reason: it has too many values for the topic's filter policies") from None
    return chosen


def _wants(subscription: Record, content: Content, bodies: Mapping[str, filtering.Body]) -> bool:
    own = subscription.document
    return filtering.wanted(own["Attributes"], bodies[own["Protocol"]], content["Attributes"])


def enter(connection: Connection, chosen: Chosen, now: float) -> None:
    """Keeps the messages for those that want them. One that has ended since it was chosen gets none."""
    for content, recipients in chosen:
        outbox.enter(connection, content, recipients, now)


@operations.handles("PublishBatch")
def publish_batch(call: Call, given: Document) -> Document:
    topic, entries = naming.topic(call, given["TopicArn"]), given["PublishBatchRequestEntries"]
    _check_batch(entries)
    now, contents, answer = call.platform.clock.now(), [], Document(Successful=[], Failed=[])
    for entry in entries:
        try:
            _check_duplicates(entry)
            content = messages.notification(topic, entry, now)
        except ServiceError as error:
            if error.code == "ParameterValueInvalid" or entry.get("MessageStructure"):
                raise
            failed = {"Id": entry["Id"], "Code": error.code, "Message": error.message, "SenderFault": True}
            answer["Failed"].append(failed)
            continue
        contents.append(content)
        answer["Successful"].append({"Id": entry["Id"], "MessageId": content["MessageId"]})
    if contents:
        _send(call, contents)
    return answer


def _check_batch(entries: Sequence[Document]) -> None:
    if not entries:
        raise ServiceError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > _MOST_ENTRIES:
        message = "The batch request contains more entries than permissible."
        raise ServiceError("TooManyEntriesInBatchRequest", message)
    for entry in entries:
        if len(entry["Id"]) > _LONGEST_ID:
            message = f"The Id of a batch entry in the batch request is too long: {entry['Id']}"
            raise ServiceError("InvalidBatchEntryId", message)
        if not _ENTRY_ID.fullmatch(entry["Id"]):
            message = f"The Id of a batch entry in the batch request contains an impermissible character: {entry['Id']}"
            raise ServiceError("InvalidBatchEntryId", message)
    if len({entry["Id"] for entry in entries}) != len(entries):
        raise ServiceError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
    if sum(messages.size(entry) for entry in entries) > messages.LONGEST:
        message = "The length of all the messages put together is more than the limit."
        raise ServiceError("BatchRequestTooLong", message)
