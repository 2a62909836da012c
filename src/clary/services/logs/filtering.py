"""FilterLogEvents: searching the streams of a group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from clary.services.logs import naming, patterns, tokens
from clary.services.logs.events import PAGE, PAGE_BYTES, span_of
from clary.services.logs.faults import invalid, not_offered
from clary.services.logs.patterns import Matches
from clary.services.operation import Call, Document, Operations
from clary.store import logs
from clary.store.logs import Event, Group

operations = Operations()

_LOOKED_AT = 50_000  # events in one call; an answer may have few matches, or none, and a nextToken
_STREAMS = 10_000


@dataclass(frozen=True, slots=True)
class _Found:
    """The matches, the names of their streams by id, and where the search stopped before its end."""

    events: list[Event]
    names: dict[int, str]
    stopped: tuple[int, int, int] | None


@operations.handles("FilterLogEvents")
def filter_log_events(call: Call, given: Document) -> Document:
    if given.get("startFromHead") is False:
        raise not_offered("FilterLogEvents", "startFromHead false")
    if given.get("logStreamNames") and given.get("logStreamNamePrefix"):
        raise invalid("logStreamNames and logStreamNamePrefix cannot be specified together.")
    name = naming.group_name(call, given)
    matches = patterns.compiled(given.get("filterPattern", ""))
    question = ["filter", {key: value for key, value in given.items() if key not in ("nextToken", "limit")}]
    after = None
    if token := given.get("nextToken"):
        at, stream, sequence = tokens.place(question, token, int, int, int)
        after = (at, stream, sequence)
    limit, now = given.get("limit", PAGE), call.platform.clock.now()

    def work(connection: Connection) -> _Found:
        group = naming.find_group(connection, call, name)
        chosen = _chosen(connection, group, given)
        looked = logs.across(connection, group, chosen, after, _LOOKED_AT, span_of(group, given, now))
        found, stopped = _search(looked, matches, limit)
        return _Found(found, logs.stream_names(connection, {event.stream_id for event in found}), stopped)

    found = call.platform.stores.logs.read(work)
    result: Document = {"events": [_shown(event, found.names) for event in found.events], "searchedLogStreams": []}
    if found.stopped is not None:
        result["nextToken"] = tokens.of_place(question, list(found.stopped))
    return result


def _search(looked: Iterable[Event], matches: Matches, limit: int) -> tuple[list[Event], tuple[int, int, int] | None]:
    """The first matches that fit into one answer, and the place to go on from when there may be more."""
    found: list[Event] = []
    size, count, place = 0, 0, None
    for event in looked:
        if matches(event.message):
            size += len(event.message)
            if found and (size > PAGE_BYTES or len(found) == limit):
                return found, place
            found.append(event)
        count, place = count + 1, (event.timestamp, event.stream_id, event.sequence)
    return found, place if count == _LOOKED_AT else None


def _chosen(connection: Connection, group: Group, given: Document) -> list[int] | None:
    """The ids of the streams that were asked for; None for all."""
    if names := given.get("logStreamNames"):
        return [naming.find_stream(connection, group, name).id for name in names]
    if prefix := given.get("logStreamNamePrefix"):
        return [stream.id for stream in logs.streams(connection, group, prefix, limit=_STREAMS)]
    return None


def _shown(event: Event, names: dict[int, str]) -> Document:
    return {
        "logStreamName": names[event.stream_id],
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingested,
        "eventId": f"{event.timestamp:020}{event.stream_id:018}{event.sequence:018}",
    }
