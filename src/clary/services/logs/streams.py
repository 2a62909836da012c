"""Log streams."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from clary.services.logs import naming, tokens
from clary.services.logs.faults import exists, invalid
from clary.services.operation import Call, Document, Operations
from clary.store import logs
from clary.store.logs import Group, Stream

operations = Operations()

_PAGE = 50


@operations.handles("CreateLogStream")
def create_log_stream(call: Call, given: Document) -> Document:
    now = call.platform.clock.now()

    def work(connection: Connection) -> None:
        group = naming.find_group(connection, call, given["logGroupName"])
        try:
            logs.create_stream(connection, group, given["logStreamName"], now)
        except logs.Exists as error:
            raise exists("log stream") from error

    call.platform.stores.logs.write(work)
    return {}


@operations.handles("DeleteLogStream")
def delete_log_stream(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> None:
        group = naming.find_group(connection, call, given["logGroupName"])
        logs.delete_stream(connection, naming.find_stream(connection, group, given["logStreamName"]))

    call.platform.stores.logs.write(work)
    return {}


@operations.handles("DescribeLogStreams")
def describe_log_streams(call: Call, given: Document) -> Document:
    """SDKs take the absence of nextToken for the end: it is given only when there is more."""
    name = naming.group_name(call, given)
    prefix, by_time = given.get("logStreamNamePrefix", ""), given.get("orderBy") == "LastEventTime"
    if prefix and by_time:
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    descending, limit = bool(given.get("descending")), given.get("limit", _PAGE)
    question = ["streams", name, prefix, by_time, descending]
    after = None
    if token := given.get("nextToken"):
        at, last = tokens.place(question, token, int, str)
        after = (at, last)

    def work(connection: Connection) -> tuple[Group, list[Stream]]:
        group = naming.find_group(connection, call, name)
        return group, logs.streams(connection, group, prefix, by_time, descending, after, limit + 1)

    group, found = call.platform.stores.logs.read(work)
    page = found[:limit]
    result: Document = {"logStreams": [_described(group, stream) for stream in page]}
    if len(found) > limit:
        result["nextToken"] = tokens.of_place(question, [page[-1].last_event or 0, page[-1].name])
    return result


def _described(group: Group, stream: Stream) -> Document:
    shown: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "firstEventTimestamp": stream.first_event,
        "lastEventTimestamp": stream.last_event,
        "lastIngestionTime": stream.last_ingestion,
        "uploadSequenceToken": sequence_token(stream.next_sequence) if stream.next_sequence else None,
        "arn": f"{naming.group_arn(group)}:log-stream:{stream.name}",
        "storedBytes": 0,  # AWS stopped counting by stream in 2019 and answers 0
    }
    return {key: value for key, value in shown.items() if value is not None}


def sequence_token(number: int) -> str:
    """AWS still hands these out, and no longer looks at what comes back."""
    return f"{number:056}"
