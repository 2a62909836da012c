"""Writing events into a stream and reading them back."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.logs import naming, tokens
from clary.services.logs.faults import invalid, not_offered
from clary.services.logs.streams import sequence_token
from clary.services.operation import Call, Document, Operations
from clary.store import logs
from clary.store.logs import FIRST, Event, Group, Span

operations = Operations()

_DAY = 86_400_000
_TOO_NEW = 2 * 3_600_000
_TOO_OLD = 14 * _DAY
_BATCH_BYTES = 1_048_576
_EVENT_OVERHEAD = 26  # bytes that AWS adds for each event
_EVENT_BYTES = 1_048_576
PAGE = 10_000
PAGE_BYTES = 1_048_576


@operations.handles("PutLogEvents")
def put_log_events(call: Call, given: Document) -> Document:
    if given.get("entity"):
        raise not_offered("PutLogEvents", "entity")
    given_events = [(int(each["timestamp"]), str(each["message"])) for each in given["logEvents"]]
    _check(given_events)
    now = call.platform.clock.now()

    def work(connection: Connection) -> tuple[int, Document]:
        group = naming.find_group(connection, call, given["logGroupName"])
        stream = naming.find_stream(connection, group, given["logStreamName"])
        first, last, rejected = _accepted([at for at, _ in given_events], group, now)
        taken = given_events[first:last]
        logs.append(connection, call.account, call.region, group.name, stream.name, taken, now)
        return stream.next_sequence + len(taken), rejected

    number, rejected = call.platform.stores.logs.write(work)
    result: Document = {"nextSequenceToken": sequence_token(number)}
    return result | {"rejectedLogEventsInfo": rejected} if rejected else result


def _check(events: list[tuple[int, str]]) -> None:
    times = [at for at, _ in events]
    if times != sorted(times):
        raise invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if times and times[-1] - times[0] > _DAY:
        raise invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    sizes = [len(message.encode("utf-8", "replace")) + _EVENT_OVERHEAD for _, message in events]
    if any(size > _EVENT_BYTES for size in sizes):
        raise invalid(f"Log event too large: {max(sizes)} bytes exceeds limit of {_EVENT_BYTES}")
    if sum(sizes) > _BATCH_BYTES:
        raise invalid(f"Upload too large: {sum(sizes)} bytes exceeds limit of {_BATCH_BYTES}")


def _accepted(times: list[int], group: Group, now: float) -> tuple[int, int, Document]:
    """The slice of a batch that is taken, and what to say of the rest (the "end" indexes are exclusive)."""
    moment = int(now * 1000)
    too_old = sum(at < moment - _TOO_OLD for at in times)
    expired = sum(at < group.oldest(now) for at in times)
    last = sum(at <= moment + _TOO_NEW for at in times)
    rejected: Document = {}
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired > too_old:
        rejected["expiredLogEventEndIndex"] = expired
    if last < len(times):
        rejected["tooNewLogEventStartIndex"] = last
    return max(too_old, expired), last, rejected


@operations.handles("GetLogEvents")
def get_log_events(call: Call, given: Document) -> Document:
    """At the end of the stream the events are empty and the token that came is the token that goes: SDKs read on until
    they see that."""
    name, limit = naming.group_name(call, given), given.get("limit", PAGE)
    direction, cursor = "f" if given.get("startFromHead") else "b", None
    if token := given.get("nextToken"):
        direction, cursor = tokens.event(token)
    now = call.platform.clock.now()

    def work(connection: Connection) -> list[Event]:
        group = naming.find_group(connection, call, name)
        stream = naming.find_stream(connection, group, given["logStreamName"])
        span = span_of(group, given, now)
        if direction == "f":
            return _fitting(logs.forward(connection, stream, cursor or FIRST, limit, span))
        return _fitting(logs.backward(connection, stream, cursor, limit, span))[::-1]

    events = call.platform.stores.logs.read(work)
    first = last = cursor or FIRST
    if events:
        first, last = (events[0].timestamp, events[0].sequence), (events[-1].timestamp, events[-1].sequence)
    return {
        "events": [_shown(event) for event in events],
        "nextForwardToken": tokens.of_event("f", last),
        "nextBackwardToken": tokens.of_event("b", first),
    }


def span_of(group: Group, given: Document, now: float) -> Span:
    """The request's startTime (inclusive) and endTime (exclusive), less what has expired."""
    start = max(int(given.get("startTime", 0)), group.oldest(now))
    end = given.get("endTime")
    return Span(start or None, None if end is None else int(end))


def _fitting(events: list[Event]) -> list[Event]:
    """As many, from the first on, as fit into one answer; at least one."""
    total = 0
    for number, event in enumerate(events):
        total += len(event.message) + _EVENT_OVERHEAD
        if total > PAGE_BYTES and number:
            return events[:number]
    return events


def _shown(event: Event) -> Document:
    return {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested}
