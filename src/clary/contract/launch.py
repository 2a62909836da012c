"""What is asked of the launcher, over its socket: one JSON object each way, one exchange per connection. Standard
library only."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

SOCKET = "launcher.sock"
_TIMEOUT = 10.0  # seconds; the launcher answers in milliseconds
_LONGEST = 65536


class LauncherAway(OSError):
    """Nobody answers at the launcher's socket (it is being restarted), or it could not do what was asked."""


@dataclass(frozen=True)
class Launch:
    """Fork an agent for the instance in `folder`; answered when it holds the folder's lock. `inside`: the tree of what
    runs inside sandboxes."""

    folder: str
    inside: str


@dataclass(frozen=True)
class ForkServer:
    """Where the fork server of an algorithm ("": of none, for scripts) listens; one is started if none runs."""

    environment: str
    algorithm: str
    inside: str

    @property
    def name(self) -> str:
        """Of its pid file and, with `.sock`, of its socket in the run folder."""
        text = "\0".join((self.environment, self.algorithm, self.inside))
        return f"fork-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def socket(self, run: Path) -> Path:
        return run / f"{self.name}.sock"


@dataclass(frozen=True)
class Answer:
    """`socket` answers ForkServer. `error` says what went wrong."""

    socket: str = ""
    error: str = ""


Question = Launch | ForkServer
_KINDS: dict[str, type[Launch | ForkServer]] = {"launch": Launch, "fork-server": ForkServer}


def ask(run: Path, question: Question) -> Answer:
    """Asks the launcher of the run folder `run`. Raises LauncherAway."""
    name = next(name for name, kind in _KINDS.items() if kind is type(question))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(str(run / SOCKET))
            connection.send(json.dumps({"ask": name, **asdict(question)}).encode())
            data = connection.recv(_LONGEST)
    except OSError as error:
        raise LauncherAway(f"The launcher does not answer: {error}") from error
    if not data:
        raise LauncherAway("The launcher ended while it was asked.")
    answer = Answer(**json.loads(data))
    if answer.error:
        raise LauncherAway(answer.error)
    return answer


def read(connection: socket.socket) -> Question:
    """The launcher's end. Raises ValueError for anything else than a question."""
    try:
        data = json.loads(connection.recv(_LONGEST))
        return _KINDS[data.pop("ask")](**data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a question for the launcher") from error


def reply(connection: socket.socket, answer: Answer) -> None:
    connection.send(json.dumps(asdict(answer)).encode())
