"""The log of one job or endpoint as a whole, whatever its streams: for `clary logs`."""

from __future__ import annotations

import json

from sqlalchemy.engine import Connection

from clary.errors import validation
from clary.store import logs
from clary.store.engine import Database
from clary.store.logs import FIRST, Stream

Line = tuple[int, str, str]
"""(epoch milliseconds, stream, message)"""

_BY_JOB = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TransformJobs")
_STREAMS = 1000
_PAGE = 1000  # lines of one stream in one answer


def page(database: Database, account: str, region: str, name: str, token: str = "") -> tuple[list[Line], str]:
    """Lines after `token`, by time, and the token that goes on from there. None at all: there is no more for now.

    To know that a log is complete, look whether the job has ended first, then read until nothing comes.
    Raises ValidationException for a token that is none.
    """
    try:
        seen = {int(stream): (int(at), int(number)) for stream, (at, number) in json.loads(token or "{}").items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise validation("This is not a token of this log.") from error

    def work(connection: Connection) -> list[Line]:
        lines: list[Line] = []
        for stream in _streams(connection, account, region, name):
            events = logs.forward(connection, stream, seen.get(stream.id, FIRST), _PAGE)
            if events:
                seen[stream.id] = (events[-1].timestamp, events[-1].sequence)
            lines += [(event.timestamp, stream.name, event.message) for event in events]
        return sorted(lines, key=lambda line: line[0])

    lines = database.read(work)
    return lines, json.dumps(seen)


def _streams(connection: Connection, account: str, region: str, name: str) -> list[Stream]:
    found: list[Stream] = []
    for group_name, prefix in (*((group, f"{name}/") for group in _BY_JOB), (f"/aws/sagemaker/Endpoints/{name}", "")):
        group = logs.find_group(connection, account, region, group_name)
        if group is not None:
            found += logs.streams(connection, group, prefix, limit=_STREAMS)
    return found
