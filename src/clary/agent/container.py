"""A container as the agent's cell: run by the machine's engine in a network namespace of ours."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from clary.agent.cell import Cell, Request, let_go
from clary.agent.container_words import Files, by_environment, words
from clary.agent.failures import ClientFailure, InternalFailure
from clary.agent.guard import Guard
from clary.agent.surroundings import Surroundings
from clary.contract.folder import InstanceFolder, container_name, socket_folder
from clary.contract.instance import InstanceSpec
from clary.contract.layout import Layout
from clary.contract.processes import start_ticks
from clary.sandbox import engine, monitors, syscalls
from clary.sandbox.engine import Engine, EngineError, NoEngine
from clary.sandbox.limits import Group, memory_groups

_PORT, _PORT_VARIABLE = 8080, "SAGEMAKER_BIND_TO_PORT"
_MODEL_SOCKET = "model.sock"
_KILLED = 128 + signal.SIGKILL
_NOTE = 10.0  # seconds for the engine to note how a container ended
_NOT_STARTED = "ClientError: The container could not be started; the last lines of the job's log say why"


class ContainerPreparation:
    """Implements clary.agent.cell.Preparing. Only its network is made before the container begins: the engine makes it
    in one step, which takes as long as the first half of it would. `afterwards` is closed when the instance's record is
    on its way: so long is the container kept, and nobody waits for its deletion. join() as for
    clary.agent.cell.Preparation."""

    def __init__(
        self,
        spec: InstanceSpec,
        folder: InstanceFolder,
        request: Request,
        afterwards: ExitStack,
        join: Callable[[], Sequence[int]] | None = None,
    ) -> None:
        """Raises ClientFailure."""
        try:
            self._engine = engine.find()
        except NoEngine as error:
            raise ClientFailure(f"{spec.image.uri} is a container image. {error}") from error
        self._spec = spec
        self._request = request
        self._join = join
        self._files = Files(folder)
        self._afterwards = afterwards

    def cell(self) -> Cell:
        """The container, which begins when it is released. Raises ClientFailure, InternalFailure."""
        self._files.write(self._request.confinement, self._request.environment)
        model, port = None, 0
        if self._spec.purpose == "serving":
            model = socket_folder(self._spec.link, self._spec.id) / _MODEL_SOCKET
            port = _port(self._request.environment)
        network = self._join() if self._join is not None else ()
        surroundings = Surroundings(self._request.confinement.listening, model, port, network)
        try:
            made = ContainerCell(self._engine, self._spec, self._request, surroundings, self._files)
        except BaseException as error:
            surroundings.close()
            if isinstance(error, OSError):
                raise InternalFailure(f"The container engine could not be started: {error}") from error
            raise
        self._afterwards.callback(made.delete)
        return made

    def __enter__(self) -> ContainerPreparation:
        return self

    def __exit__(self, *_: object) -> None:
        return


def _port(environment: dict[str, str]) -> int:
    """Where the container's model server is to listen. Raises ClientFailure."""
    given = environment.get(_PORT_VARIABLE) or str(_PORT)
    if not (given.isdecimal() and 0 < int(given) < 1 << 16):
        raise ClientFailure(f"{_PORT_VARIABLE} is {given!r}, which is no port. Please give one from 1 to 65535.")
    return int(given)


class ContainerCell:
    """Implements clary.agent.cell.Cell. `control` is readable when the engine has made the container, or could not;
    when the container has ended; when the guard was killed. The engine is beside it only while it is made: then there
    are the engine's monitor, which notes its exit status, and the guard, until `delete`."""

    streams_end = False  # the monitor has them too

    def __init__(
        self, runs: Engine, spec: InstanceSpec, request: Request, surroundings: Surroundings, files: Files
    ) -> None:
        """Raises OSError, ClientFailure."""
        self.status: int | None = None
        self.ended = False
        self.exceeded = False
        self.handed = surroundings.handed
        self.network: tuple[int, ...] = (surroundings.open(),) if request.confinement.shares else ()
        self.control = select.epoll()
        self._surroundings = surroundings
        self._files = files
        self._engine = runs
        self._name = container_name(spec.id)
        self._failure = Layout(Path(request.confinement.base)).failure
        self._first = -1  # handle of its first process, once there was one
        self._wanted = True
        self._exit_note: Path | None = None
        self._group = Group((), limits_memory=False, limits_processes=False)
        given = by_environment(request.environment)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)  # what the engine and its monitor leave is left to this one
        self.stdout, out = os.pipe()
        self.stderr, err = os.pipe()
        try:
            make = [*runs.command, *words(spec, request, surroundings.path, files)]
            self._guard = self._watched(make, given, (out, err))
        finally:
            os.close(out)
            os.close(err)

    def _watched(self, make: list[str], variables: dict[str, str], streams: tuple[int, int] | None = None) -> Guard:
        surrounded = {**os.environ, **variables, "CONTAINERS_CONF": str(self._files.settings)}
        remove = [*self._engine.command, *engine.removal(self._name)]
        guard = Guard(make, remove, self._files.folder.container, surrounded, streams)
        self.control.register(guard, select.EPOLLIN)
        return guard

    def hear(self) -> None:
        """Raises InternalFailure when nobody knows how it ended."""
        for descriptor, _ in self.control.poll(0):
            if descriptor == self._first:
                self._over()
            else:
                self._told(self._guard.hear())

    def _told(self, status: int | None) -> None:
        """By the guard: of the engine's exit status, or its own end."""
        if status is None:
            self._guard.kill()
            self._guard.let_go()
            if self._first >= 0:
                self._guard = self._watched(["true"], {})
                self._guard.begin()
            elif self._wanted:
                raise InternalFailure("The container engine was killed while it made the container.")
            else:
                self.status, self.ended = _KILLED, True
        elif self._first < 0 and status == 0:
            self._began()
        elif self._first < 0:
            if status >= 128:
                raise InternalFailure(f"The container engine was killed (status {status}) as it made the container.")
            self.status, self.ended = status, True
            if not self._files.process.exists():  # else it may have begun, and the folder is its to lay links in
                self._failure.write_text(_NOT_STARTED)

    def _began(self) -> None:
        monitor, first = _number_in(self._files.monitor), _number_in(self._files.process)
        self._exit_note = monitors.exit_note(monitor)
        self._group = memory_groups(first)
        try:
            handle = os.pidfd_open(first)
        except OSError:  # it has ended
            self._over()
            return
        if not monitors.has(monitor, first):
            os.close(handle)
            self._over()
            return
        self._first = handle
        self.control.register(self._first, select.EPOLLIN)
        if not self._wanted:
            self.kill()

    def _over(self) -> None:
        """The end of the first process was that of its pid namespace."""
        self.exceeded = self._group.was_out_of_memory() or not self._group.is_there()  # it goes away soon
        if self._first >= 0:
            self.control.unregister(self._first)
        self.status, self.ended = self._exit_status(), True

    def _exit_status(self) -> int:
        """From the monitor's note, which is there at once and not for long; else the engine knows. Where the monitor
        was killed it is this process that the kernel tells. Raises InternalFailure."""
        until = time.monotonic() + _NOTE
        monitor = _number_in(self._files.monitor)
        while self._exit_note is not None and time.monotonic() < until:
            alive = start_ticks(monitor) is not None
            with contextlib.suppress(OSError, ValueError):
                return int(self._exit_note.read_text())
            if not alive:
                break
            time.sleep(0.001)
        status = _reaped(_number_in(self._files.process))
        if status is not None:
            return status
        try:
            return self._engine.exit_status(self._name)
        except EngineError as error:
            raise InternalFailure(f"The container has ended, and it is not known how: {error}") from error

    def release(self) -> None:
        """Has the engine make it."""
        self._guard.begin()

    def terminate(self) -> None:
        if self._first < 0:
            self.kill()  # before it began
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """One that is still being made is killed when it begins."""
        self._wanted = False
        self._signal(signal.SIGKILL)

    def destroy(self) -> None:
        self.kill()
        if self._first < 0:
            self._guard.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._first >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, number)

    def close(self) -> None:
        if not self.ended:
            self.kill()
        self._surroundings.close()
        let_go(self.handed)
        self.control.close()
        for descriptor in (self.stdout, self.stderr, *self.network, *([self._first] if self._first >= 0 else [])):
            os.close(descriptor)

    def delete(self) -> None:
        """And waits until the container is gone."""
        _reaped(_number_in(self._files.monitor))
        self._guard.let_go()
        self._guard.wait()


def _reaped(pid: int) -> int | None:
    """The exit status of a process that has ended, if it was left to this one."""
    with contextlib.suppress(ChildProcessError):
        ended, status = os.waitpid(pid, os.WNOHANG) if pid else (0, 0)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
    return None


def _number_in(file: Path) -> int:
    """0 when there is none."""
    with contextlib.suppress(OSError, ValueError):
        return int(file.read_text())
    return 0
