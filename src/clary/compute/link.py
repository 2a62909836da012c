"""The control plane's end of the agent link: a thread for each agent's connection, and one that makes durable what
they all bring (ingest.py)."""

from __future__ import annotations

import contextlib
import hmac
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from clary.clock import Clock
from clary.compute import rows
from clary.compute.ingest import Ingest
from clary.compute.reports import Intake
from clary.contract.instance import Credentials, InstanceSpec
from clary.contract.link import (
    LONGEST_LINE,
    VERSION,
    Acknowledged,
    Claim,
    Claimed,
    Holder,
    Lend,
    Lent,
    LogBatch,
    Message,
    MessageError,
    Refresh,
    Refused,
    Renewed,
    Report,
    Session,
    Stop,
    decode,
    encode,
)
from clary.errors import ServiceError
from clary.store.engine import Database

_log = logging.getLogger(__name__)
_BACKLOG = 256
_CLAIM_TIMEOUT = 10.0  # seconds a connection may take to say who it is
_SEND_TIMEOUT = 10
_READ = 256 * 1024


class AgentLink:
    """Listens on `path` from `start` on. `endpoint` is the server's base URL. credentials(spec, holder) opens a session
    of the instance's role, or raises ServiceError. wake(instance id) is called after the commit of anything but log
    lines."""

    def __init__(
        self,
        path: Path,
        endpoint: str,
        records: Database,
        logs: Database,
        credentials: Callable[[InstanceSpec, Holder], Credentials],
        clock: Clock,
        wake: Callable[[str], None],
    ) -> None:
        self.intake = Intake(records, logs, clock)
        self._ingest = Ingest(self.intake)
        self._path = path
        self._endpoint = endpoint
        self._records = records
        self._credentials = credentials
        self._wake = wake
        self._mutex = threading.Lock()
        self._agents: dict[str, _Agent] = {}
        self._listener: socket.socket | None = None

    def start(self) -> None:
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        self._path.chmod(0o600)
        listener.listen(_BACKLOG)
        self._listener = listener
        self._ingest.start()
        threading.Thread(target=self._accept, args=(listener,), name="agent-link", daemon=True).start()

    def close(self) -> None:
        """Ends every connection; agents come back to the next server."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            self._listener.close()
        with self._mutex:
            agents = list(self._agents.values())
        for each in agents:
            each.close()
        self._ingest.close()

    def stop(self, instance: str) -> None:
        """Tells the agent, if it is connected; one that comes later is told when it claims."""
        with self._mutex:
            agent = self._agents.get(instance)
        if agent is not None:
            with contextlib.suppress(OSError):
                agent.send(Stop())

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            agent = _Agent(connection)
            threading.Thread(target=self._serve, args=(agent,), name="agent", daemon=True).start()

    def _serve(self, agent: _Agent) -> None:
        try:
            spec = self._claim(agent)
            if spec is None:
                return
            with self._registered(spec.id, agent):
                self._answer(agent, spec)
                for lines in agent.lines():
                    self._handle(agent, spec, lines)
        except (OSError, MessageError) as error:
            _log.debug("an agent's connection ended: %s", error)
        except Exception:
            _log.exception("an agent's connection failed")
        finally:
            agent.close()

    def _claim(self, agent: _Agent) -> InstanceSpec | None:
        claim = agent.first()
        if not isinstance(claim, Claim):
            raise MessageError("an agent has to claim its instance first")
        row = self._records.read(lambda connection: rows.find(connection, claim.instance))
        known = row is not None and hmac.compare_digest(row.spec.token.encode(), claim.token.encode())
        if row is None or not known:
            agent.send(Refused("There is no such instance."))
            return None
        if claim.version != VERSION:
            agent.send(Refused(f"This server speaks version {VERSION} of the agent link, not {claim.version}."))
            return None
        return row.spec

    def _answer(self, agent: _Agent, spec: InstanceSpec) -> None:
        session = self._session(spec, "agent")
        row = self._records.read(lambda connection: rows.find(connection, spec.id))
        agent.send(Claimed(self._endpoint, session, stop=row is not None and row.stop_asked))

    def _session(self, spec: InstanceSpec, holder: Holder) -> Session:
        try:
            return Session(self._credentials(spec, holder))
        except ServiceError:
            return Session(
                None,
                f"Could not assume role {spec.role_arn}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role.",
            )

    @contextlib.contextmanager
    def _registered(self, instance: str, agent: _Agent) -> Iterator[None]:
        """The newest connection of an instance is the one that counts."""
        with self._mutex:
            older = self._agents.get(instance)
            self._agents[instance] = agent
        if older is not None:
            older.close()
        try:
            yield
        finally:
            with self._mutex:
                if self._agents.get(instance) is agent:
                    del self._agents[instance]

    def _handle(self, agent: _Agent, spec: InstanceSpec, lines: list[bytes]) -> None:
        """One acknowledgement for all that came together, once it is durable."""
        messages = [decode(line) for line in lines]
        contents = [each.content() for each in messages if isinstance(each, Report)]
        if contents:
            ends = [
                each.position + len(line) + 1
                for each, line in zip(messages, lines, strict=True)
                if isinstance(each, Report)
            ]
            changed = not all(isinstance(each, LogBatch) for each in contents)
            self._ingest.bring(spec, contents, lambda error: self._taken(agent, spec, error, max(ends), changed))
        if any(isinstance(each, Refresh) for each in messages):
            agent.send(Renewed(self._session(spec, "agent")))
        if any(isinstance(each, Lend) for each in messages):
            agent.send(Lent(self._session(spec, "job")))

    def _taken(self, agent: _Agent, spec: InstanceSpec, error: Exception | None, end: int, changed: bool) -> None:
        """An agent whose reports cannot be taken, or who takes no answer, has to come again."""
        if error is not None:
            _log.error("what %s reports was not taken", spec.id, exc_info=error)
        elif changed:
            self._wake(spec.id)
        if error is not None or not agent.try_to_send(Acknowledged(end)):
            agent.hang_up()


class _Agent:
    """One connection. Sending is for any thread, receiving for one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._buffer = b""
        self._rest: list[bytes] = []  # lines that came together with the claim
        # an agent that does not read must not hold a thread of the server for ever (struct timeval)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", _SEND_TIMEOUT, 0))

    def send(self, message: Message) -> None:
        with self._sending:
            self._connection.sendall(encode(message))

    def try_to_send(self, message: Message) -> bool:
        """Whether it went out whole at once."""
        data = encode(message)
        with self._sending:
            try:
                return self._connection.send(data, socket.MSG_DONTWAIT) == len(data)
            except OSError:
                return False

    def first(self) -> Message:
        """Raises ConnectionError, TimeoutError, MessageError."""
        self._connection.settimeout(_CLAIM_TIMEOUT)
        for lines in self._received():
            self._connection.settimeout(None)
            self._rest = lines[1:]
            return decode(lines[0])
        raise ConnectionError("closed before a claim")

    def lines(self) -> Iterator[list[bytes]]:
        """Messages that came together, in one piece each; ends when the agent closes."""
        if self._rest:
            yield self._rest
        yield from self._received()

    def _received(self) -> Iterator[list[bytes]]:
        while data := self._connection.recv(_READ):
            self._buffer += data
            *lines, self._buffer = self._buffer.split(b"\n")
            if len(self._buffer) > LONGEST_LINE:
                raise MessageError("a message without end")
            if lines:
                yield lines

    def hang_up(self) -> None:
        """Ends `lines`."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.hang_up()
        self._connection.close()


def socket_path(run: Path) -> Path:
    """Where the agent link listens: InstanceSpec.link."""
    return run / "agents.sock"
