"""The agent link: what an agent and the control plane say to each other over a unix socket. Standard library only.

One JSON object per line. The agent speaks first:

    agent -> control   Claim {instance, token, version}
    control -> agent   Claimed {endpoint, session, stop} or Refused {reason}, after which the connection ends
    agent -> control   Report {position, kind, value}*, Refresh {}, Lend {}
    control -> agent   Acknowledged {position}, Stop {}, Renewed {session}, Lent {session}

A report's `position` is where it begins in the agent's spool; `Acknowledged.position` is where the last report handled
ends (its position plus the bytes of its line). It is acknowledged after what it says is durable, and reports are sent
again, in order, from the last acknowledged position after every reconnect; so each is handled at least once, and
handling one twice changes nothing. Kinds of reports: "phase" (contract.instance.Phase), "logs" (LogBatch), "health"
(Health), "exit" (ExitRecord, always the last).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from clary.contract.instance import Credentials, ExitRecord, Phase

VERSION = 1
LONGEST_LINE = 16 * 1024 * 1024  # bytes either side accepts in one message


@dataclass(frozen=True)
class Claim:
    instance: str
    token: str
    version: int = VERSION


@dataclass(frozen=True)
class Session:
    """The role's credentials, or why there are none (`denied`: the role is gone)."""

    credentials: Credentials | None
    denied: str = ""


@dataclass(frozen=True)
class Claimed:
    """`endpoint`: the base URL of the server as it is now, which may have another port than when the instance was
    launched. `stop`: the instance was asked to stop before this claim."""

    endpoint: str
    session: Session
    stop: bool = False


@dataclass(frozen=True)
class Refused:
    reason: str


@dataclass(frozen=True)
class LogBatch:
    """Lines with their times in epoch milliseconds. `position` is the batch's byte offset in its source: the UTF-8
    bytes of all lines before it plus one for each line."""

    position: int
    events: tuple[tuple[int, str], ...]

    def end(self) -> int:
        """The position of the batch that follows."""
        return self.position + sum(len(text.encode()) + 1 for _, text in self.events)


@dataclass(frozen=True)
class Health:
    """Of a model server; `address` is the path of the unix socket where it answers HTTP."""

    healthy: bool
    address: str = ""


ReportKind = Literal["phase", "logs", "health", "exit"]


@dataclass(frozen=True)
class Report:
    """Something an agent has to say; `position` is where it ends in the agent's spool."""

    position: int
    kind: ReportKind
    value: dict[str, Any] = field(default_factory=dict)

    def content(self) -> Phase | LogBatch | Health | ExitRecord:
        match self.kind:
            case "phase":
                return Phase(**self.value)
            case "logs":
                events = tuple((int(at), str(text)) for at, text in self.value["events"])
                return LogBatch(int(self.value["position"]), events)
            case "health":
                return Health(**self.value)
            case "exit":
                return ExitRecord.from_json(json.dumps(self.value))


Holder = Literal["agent", "job"]
"""Who works with a session of the role: the agent, or the job's own code, which is told less."""


@dataclass(frozen=True)
class Refresh:
    """Asks for fresh credentials of the agent's; the answer is Renewed."""


@dataclass(frozen=True)
class Renewed:
    session: Session


@dataclass(frozen=True)
class Lend:
    """Asks for fresh credentials for the job's own code; the answer is Lent."""


@dataclass(frozen=True)
class Lent:
    session: Session


@dataclass(frozen=True)
class Acknowledged:
    position: int


@dataclass(frozen=True)
class Stop:
    """SIGTERM, the spec's grace, SIGKILL."""


Message = Claim | Claimed | Refused | Report | Refresh | Renewed | Lend | Lent | Acknowledged | Stop
_KINDS: dict[str, type[Any]] = {each.__name__: each for each in get_args(Message)}


class MessageError(Exception):
    """Not a message of this protocol."""


def encode(message: Message) -> bytes:
    """One line, its newline included."""
    data = {"message": type(message).__name__, **vars(message)}
    return json.dumps(data, separators=(",", ":"), default=vars).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Raises MessageError."""
    try:
        data = json.loads(line)
        kind = _KINDS[data.pop("message")]
        if "session" in data:
            data["session"] = _session(**data["session"])
        message: Message = kind(**data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MessageError(f"not a message of the agent link: {line[:80]!r}") from error
    return message


def _session(credentials: dict[str, Any] | None, denied: str) -> Session:
    return Session(Credentials(**credentials) if credentials else None, denied)
