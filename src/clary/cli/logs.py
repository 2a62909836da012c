"""`clary logs JOB`."""

from __future__ import annotations

import argparse
import json
import time

from clary.cli.failure import Failure
from clary.cli.hints import hint
from clary.cli.server import Server, running
from clary.server import questions
from clary.server.questions import LogPage

_BETWEEN = 0.5  # seconds between two looks of --follow


def command(given: argparse.Namespace) -> int:
    server = running(given)
    token, streams = "", set[str]()
    while True:
        page = _page(server, given.job, token)
        streams.update(stream for _, stream, _ in page.lines)
        _print(page, given.json, len(streams) > 1)
        caught_up = not page.lines
        if caught_up and (page.finished or not given.follow):
            return 0
        if caught_up:
            time.sleep(_BETWEEN)
        token = page.token


def _page(server: Server, job: str, token: str) -> LogPage:
    try:
        return questions.job_logs(server.control, job, token)
    except questions.Refused as error:
        raise Failure(str(error)) from error
    except questions.NotRunning as error:
        look = hint(server.settings, "status")
        raise Failure(f"The server at {server.url} does not answer: {error}. Look with `{look}`.") from error


def _print(page: LogPage, as_json: bool, several: bool) -> None:
    for at, stream, message in page.lines:
        if as_json:
            print(json.dumps({"timestamp": at, "stream": stream, "message": message}))
        else:
            print(f"{stream}  {message}" if several else message)
    print(end="", flush=True)
