"""A container as the agent's cell: run by the machine's engine in a network namespace of ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clary.agent.cell import Cell, Request, let_go
from clary.agent.failures import ClientFailure, InternalFailure
from clary.agent.surroundings import Surroundings
from clary.contract.folder import InstanceFolder, container_name, socket_folder, write_whole
from clary.contract.instance import InstanceSpec
from clary.contract.layout import Layout
from clary.sandbox import INSIDE_AUTHORITIES, Confinement, engine
from clary.sandbox.confinement import INSIDE_BASE, id_range
from clary.sandbox.engine import Engine, NoEngine

_MOST_PROCESSES = 4096
_PORT, _PORT_VARIABLE = 8080, "SAGEMAKER_BIND_TO_PORT"
_MODEL_SOCKET = "model.sock"
_SETTINGS = "[containers]\ndefault_sysctls = []\n"
_NOT_STARTED = (125, 126, 127)  # what engines end with when the container did not begin
# What becomes the engine once it is told to: no host of a job begins before all have their networks.
_GATE = 'read -r opened && exec "$@" < /dev/null'
# Ends and deletes the container when its agent is gone, however that ended; "done" says that it is gone by itself.
_GUARD = 'read -r said && [ "$said" = done ] && exit; for each in 1 2 3 4 5; do "$@" && exit; sleep 1; done'


@dataclass(frozen=True, slots=True)
class Files:
    """What is beside a container, in its instance's folder."""

    folder: InstanceFolder

    @property
    def hosts(self) -> Path:
        """Its /etc/hosts: the engine's own would name what is on this machine."""
        return self.folder.path / "hosts"

    @property
    def settings(self) -> Path:
        """Of the engine, in place of the machine's: these would have a container set kernel parameters of a network
        namespace that is not its own, which it may not."""
        return self.folder.path / "engine.conf"

    @property
    def variables(self) -> Path:
        """Its environment, for the engine to read: in arguments everybody would see it. 0600."""
        return self.folder.path / "variables"

    @property
    def authorities(self) -> Path:
        return self.folder.path / "authorities.pem"

    @property
    def process(self) -> Path:
        """The pid of its first process, as this machine counts; written by the engine once there is one."""
        return self.folder.path / "container.pid"

    def write(self, confinement: Confinement, environment: Mapping[str, str]) -> None:
        names = dict.fromkeys((*confinement.hosts, confinement.hostname))  # the same addresses for all hosts of a job
        addresses = [f"127.0.0.{index} {each}\n" for index, each in enumerate(names, start=2)]
        write_whole(self.hosts, "".join(["127.0.0.1 localhost\n", *addresses]))
        lines = (f"{each}={value}\n" for each, value in environment.items() if "\n" not in value)
        write_whole(self.variables, "".join(lines), mode=0o600)
        write_whole(self.authorities, confinement.authorities)
        write_whole(self.settings, _SETTINGS)
        write_whole(self.folder.container, "")


def words(spec: InstanceSpec, request: Request, network: str, files: Files) -> list[str]:
    """The engine's words for the container of an instance: a pure function. The image's entry point gets the argument
    `train` or `serve`, or what the request gives in place of them."""
    confinement = request.confinement
    entry = ["--entrypoint", json.dumps(list(spec.entrypoint))] if spec.entrypoint else []
    return [
        *("run", "--rm", "--name", container_name(spec.id), "--label", f"clary.instance={spec.id}", "--pull", "never"),
        *("--log-driver", "passthrough", "--pidfile", str(files.process), "--http-proxy=false"),
        *("--env-file", str(files.variables), *_of_several_lines(request.environment)),
        *("--network", f"ns:{network}", "--hostname", spec.host, "--no-hosts"),
        *_identities(spec.id),
        *("--security-opt", "no-new-privileges", "--security-opt", "mask=/sys/class/net"),
        *("--pids-limit", str(_MOST_PROCESSES), *_memory(spec.memory), *engine.limits()),
        *_volumes(confinement, files),
        *entry,
        spec.image.container,
        *_arguments(spec),
    ]


def _arguments(spec: InstanceSpec) -> tuple[str, ...]:
    if spec.purpose == "serving":
        return ("serve",)
    return spec.arguments if spec.entrypoint or spec.arguments else ("train",)


def _of_several_lines(environment: Mapping[str, str]) -> list[str]:
    """What a file of variables cannot hold."""
    return [f"--env={each}={value}" for each, value in environment.items() if "\n" in value]


def _identities(instance: str) -> list[str]:
    """One range, whole: engines show an image's files under other ids in one piece, or copy the image."""
    first, count = id_range(instance)
    return ["--uidmap", f"0:{first}:{count}", "--gidmap", f"0:{first}:{count}"]


def _memory(size: int) -> list[str]:
    return ["--memory", str(size)] if size else []


def _volumes(confinement: Confinement, files: Files) -> list[str]:
    base = confinement.base
    pairs = [
        f"{base}:{INSIDE_BASE}",
        f"{files.hosts}:/etc/hosts:ro",
        *(f"{base}/{each}:{INSIDE_BASE}/{each}:ro" for each in confinement.readonly),
    ]
    if confinement.authorities:
        pairs.append(f"{files.authorities}:{INSIDE_AUTHORITIES}:ro")
    return [word for each in pairs for word in ("--volume", each)]


def _port(environment: Mapping[str, str]) -> int:
    """Where the container's model server is to listen. Raises ClientFailure."""
    given = environment.get(_PORT_VARIABLE) or str(_PORT)
    if not (given.isdecimal() and 0 < int(given) < 1 << 16):
        raise ClientFailure(f"{_PORT_VARIABLE} is {given!r}, which is no port. Please give one from 1 to 65535.")
    return int(given)


class ContainerPreparation:
    """Implements clary.agent.cell.Preparing. Only its network is made before the container begins: the engine makes it
    in one step, which takes as long as the first half of it would. join() as for clary.agent.cell.Preparation."""

    def __init__(
        self,
        spec: InstanceSpec,
        folder: InstanceFolder,
        request: Request,
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
            return ContainerCell(self._engine, self._spec, self._request, surroundings, self._files)
        except OSError as error:
            surroundings.close()
            raise InternalFailure(f"The container engine could not be started: {error}") from error

    def __enter__(self) -> ContainerPreparation:
        return self

    def __exit__(self, *_: object) -> None:
        return


class ContainerCell:
    """Implements clary.agent.cell.Cell. The engine's process stays for as long as the container does; `control` is
    readable when it has ended."""

    def __init__(
        self, runs: Engine, spec: InstanceSpec, request: Request, surroundings: Surroundings, files: Files
    ) -> None:
        """Raises OSError."""
        self.status: int | None = None
        self.ended = False
        self.handed = surroundings.handed
        self.network: tuple[int, ...] = (surroundings.open(),) if request.confinement.shares else ()
        self._surroundings = surroundings
        self._files = files
        self._failure = Layout(Path(request.confinement.base)).failure
        self._guard = _guard(runs, container_name(spec.id))
        self.stdout, out = os.pipe()
        self.stderr, err = os.pipe()
        opening, self._gate = os.pipe()
        command = ["/bin/sh", "-c", _GATE, "gate", *runs.command, *words(spec, request, surroundings.path, files)]
        surrounded = {**os.environ, "CONTAINERS_CONF": str(files.settings)}
        try:
            self._process = subprocess.Popen(
                command,
                stdin=opening,
                stdout=out,
                stderr=err,
                cwd="/",
                env=surrounded,
                start_new_session=True,
            )
        finally:
            for descriptor in (opening, out, err):
                os.close(descriptor)
        self.control = _Handle(os.pidfd_open(self._process.pid))

    def hear(self) -> None:
        status = self._process.wait()
        self.status = status if status >= 0 else 128 - status
        self.ended = True
        if self.status in _NOT_STARTED and not self._first():
            self._failure.write_text(
                "ClientError: The container could not be started; the last lines of the job's log say why"
            )

    def release(self) -> None:
        """Has the engine run it. One whose engine has ended already is not disturbed."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._gate, b"!\n")

    def terminate(self) -> None:
        if not self._signal(signal.SIGTERM):
            self.kill()  # before it began

    def kill(self) -> None:
        """The end of the first process is that of its pid namespace."""
        if not self._signal(signal.SIGKILL):
            self._process.kill()

    def destroy(self) -> None:
        self.kill()
        self._process.kill()

    def close(self) -> None:
        if not self.ended:
            self.kill()
            self._process.wait()
        if self._process.returncode >= 0:  # the engine has deleted it
            self._files.folder.container.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                os.write(self._guard, b"done\n")
        os.close(self._guard)
        os.close(self.control.fileno())
        self._surroundings.close()
        let_go(self.handed)
        for descriptor in (self.stdout, self.stderr, self._gate, *self.network):
            os.close(descriptor)

    def _first(self) -> int:
        """The pid of the container's first process, 0 before there was one."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._files.process.read_text())
        return 0

    def _signal(self, number: signal.Signals) -> bool:
        """Whether there was somebody to get it. While the engine's process stays, the pid is nobody else's."""
        first = self._first()
        if first and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, number)
        return bool(first)


@dataclass(frozen=True, slots=True)
class _Handle:
    descriptor: int

    def fileno(self) -> int:
        return self.descriptor


def _guard(runs: Engine, container: str) -> int:
    """Starts it; the descriptor is what it reads."""
    reading, writing = os.pipe()
    command = ["/bin/sh", "-c", _GUARD, "guard", *runs.command, *engine.removal(container)]
    try:
        guard = subprocess.Popen(
            command,
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(reading)
    guard.returncode = 0  # it outlives this process; nobody waits for it
    return writing
