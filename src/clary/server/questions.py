"""What the command line asks a running server: both ends of each QUESTION, so that they agree.

The asking end is a function of the control socket's path. The answering end is a table of functions, put together in
`app.py` with the questions of the edges: `answering({"session": ..., "root-key": ..., "status": ..., ...})`.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clary.server.frames import Frame, pack_json, questions_socket, receive

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class NotRunning(Exception):
    """No server answers on this home's control socket."""


class Refused(Exception):
    """The server answered that it cannot; the message says why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials for a client. A long-term key has no token and expires 0, a session's `expires` is epoch seconds."""

    access_key: str
    secret_key: str
    session_token: str = ""
    expires: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """What a server says of itself; `counts`: names of things ("training jobs running") with their numbers."""

    version: str
    pid: int
    started: float
    account: str
    region: str
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines as (epoch milliseconds, stream, message), oldest first. `token` continues after them; `finished`: the job
    has ended and everything it printed has been given out."""

    lines: list[tuple[int, str, str]]
    token: str
    finished: bool


def session(control: Path, seconds: int = 43_200) -> Keys:
    """A session of the default execution role."""
    return Keys(**ask(control, {"ask": "session", "seconds": seconds}))


def root_key(control: Path) -> Keys:
    return Keys(**ask(control, {"ask": "root-key"}))


def status(control: Path) -> Status:
    return Status(**ask(control, {"ask": "status"}))


def job_logs(control: Path, job: str, token: str = "") -> LogPage:
    """Log lines of a job or an endpoint of that name, after `token`. Raises Refused when there is none."""
    page = ask(control, {"ask": "job-logs", "job": job, "token": token})
    lines = [(int(at), stream, message) for at, stream, message in page["lines"]]
    return LogPage(lines, page["token"], page["finished"])


def ask(control: Path, question: dict[str, Any], patience: float = 30.0) -> dict[str, Any]:
    """One question, one answer. Raises NotRunning and Refused."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(patience)
            connection.connect(str(questions_socket(control)))
            connection.sendall(pack_json(Frame.QUESTION, question))
            frame = receive(connection)
    except OSError as error:
        raise NotRunning(str(error)) from error
    if frame is None or frame[0] is not Frame.ANSWER:
        raise NotRunning("the control plane ended before it answered")
    answer: dict[str, Any] = json.loads(frame[1])
    if "error" in answer:
        raise Refused(answer["error"])
    return answer


def answering(table: Mapping[str, Answer]) -> Answer:
    """The control plane's end: picks the function by the question's "ask". What raises Refused is answered as such."""

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        found = table.get(str(question.get("ask")))
        if found is None:
            return {"error": f"This server does not know the question {question.get('ask')!r}."}
        try:
            return found(question)
        except Refused as refusal:
            return {"error": str(refusal)}

    return answer


def as_answer(value: Keys | Status | LogPage) -> dict[str, Any]:
    return asdict(value)
