"""What an agent works with: one value, made at its start."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clary.agent import failures
from clary.agent.cell import Cell, Preparation, Preparing, Request
from clary.agent.container import ContainerPreparation
from clary.agent.failures import InternalFailure
from clary.agent.link import Link
from clary.agent.meeting import First, Other, meeting
from clary.agent.orders import Orders
from clary.agent.reach import Reach
from clary.agent.s3 import S3, Unwanted
from clary.agent.spool import Spool
from clary.contract import launch
from clary.contract.folder import InstanceFolder, write_durably
from clary.contract.instance import Credentials, ExitRecord, InstanceSpec, Phase, PhaseName
from clary.contract.layout import Layout
from clary.contract.link import Health, LogBatch
from clary.sandbox import Isolation, IsolationError, Rung, choose, host_id
from clary.sandbox.confinement import id_range
from clary.sandbox.limits import Group

_LITTLE = 1 << 20  # bytes free on a disk that counts as full
_BATCH = 512 * 1024  # bytes of text in one batch
_PHASES_TOGETHER = 0.1  # seconds: a small job's phases go with its first lines and its end, and hold up neither


@dataclass
class Context:
    """What the parts of an agent share: the instance, its folder, its orders, and the way to the server."""

    spec: InstanceSpec
    folder: InstanceFolder
    inside: str
    isolation: Isolation
    orders: Orders
    spool: Spool
    link: Link
    authorities: str = ""
    collecting: bool = False
    requirements: str = ""  # the environment with what the code's requirements.txt names; "" for the image's own
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What ends with the instance's run."""
    afterwards: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What ends when its record is on its way: nobody waits for that."""
    _begun: Cell | None = field(default=None, repr=False)
    _position: int = field(default=0, repr=False)

    @property
    def layout(self) -> Layout:
        """The tree as it lies on the host."""
        return Layout(self.folder.base)

    @property
    def environment(self) -> str:
        """The environment in which the user's code runs."""
        return self.requirements or self.spec.image.environment

    @property
    def rung(self) -> Rung:
        """Raises InternalFailure when what is asked for cannot be had here. A container has namespaces of its own."""
        if self.spec.image.kind == "container":
            return "namespaces"
        try:
            return choose(self.spec.isolation, self.isolation)
        except IsolationError as error:
            raise InternalFailure(str(error)) from error

    @property
    def identity(self) -> int:
        """The host id that stands behind id 0 of the instance, where the server is root."""
        return id_range(self.spec.id)[0] if self.spec.image.kind == "container" else host_id(self.spec.id)

    @functools.cached_property
    def reach(self) -> Reach | None:
        """What the job reaches; None for one without any network. Raises InternalFailure."""
        if self.spec.network_isolation:
            return None
        reach = Reach(self.spec, self.link.lent, inside=self.rung == "namespaces")
        self.closing.callback(reach.close)
        return reach

    def wanted(self) -> bool:
        """Whether to go on. A stop ends the staging but not the upload of what there is."""
        return not (self.orders.down or self.orders.refused) and (self.collecting or not self.orders.stop)

    def s3(self) -> S3:
        spec = self.spec
        return S3(
            lambda: self.link.endpoint, spec.region, self._credentials, self.wanted, spec.output_key, self.authorities
        )

    def _credentials(self, refresh: bool) -> Credentials:
        credentials = self.link.credentials(refresh)
        if credentials is None:
            raise Unwanted
        return credentials

    def phase(self, name: PhaseName, message: str) -> None:
        self.report(Phase(name, time.time(), message))

    def logs(self, events: list[tuple[int, str]]) -> None:
        """Sends lines (epoch milliseconds, text) in batches that fit a message."""
        batch: list[tuple[int, str]] = []
        size = 0
        for event in events:
            batch.append(event)
            size += len(event[1].encode()) + 1
            if size >= _BATCH:
                self._send(batch, size)
                batch, size = [], 0
        if batch:
            self._send(batch, size)

    def say(self, text: str) -> None:
        """A log line of Clary's own."""
        self.logs([(int(time.time() * 1000), text)])

    def _send(self, batch: list[tuple[int, str]], size: int) -> None:
        self.report(LogBatch(self._position, tuple(batch)))
        self._position += size

    def report(self, content: Phase | LogBatch | Health | ExitRecord) -> None:
        self.spool.append(content)
        self.link.wake(_PHASES_TOGETHER if isinstance(content, Phase) else 0.0)

    def hint(self, status: int | None, group: Group) -> str:
        """What may have ended a job that does not say it itself; "" when nothing is known."""
        exceeded = group.was_out_of_memory() or (self._begun is not None and self._begun.exceeded)
        if status == 128 + signal.SIGKILL and exceeded:
            return failures.OUT_OF_MEMORY
        return failures.NO_SPACE if shutil.disk_usage(self.folder.path).free < _LITTLE else ""

    def give(self, folder: Path) -> None:
        """Gives a folder with all that is in it to the job: its code may write there, as a container's root may."""
        if self.rung == "namespaces":
            own([folder, *folder.rglob("*")], self.identity)

    def make_room(self) -> None:
        """Gives the disk back what this instance took of it: on a full one nothing could be reported."""
        for each in (self.folder.base, self.folder.scratch):
            shutil.rmtree(each, ignore_errors=True)

    @functools.cached_property
    def meeting(self) -> First | Other | None:
        """With the agents of the job's other hosts; None where there are none."""
        made = meeting(self.spec, self.pause)
        if made is not None:
            self.closing.callback(made.close)
        return made

    @contextlib.contextmanager
    def prepared(self, request: Callable[[], Request], stage: Callable[[], None]) -> Iterator[Preparing]:
        """What is asked for, in the making while `stage` brings the inputs in. Where these name packages that are to be
        part of it (a requirements.txt does), the one that was begun is destroyed and it is asked for anew: the rarer
        case pays. Raises ClientFailure, and what `stage` raises."""
        with contextlib.ExitStack() as making:
            preparation = making.enter_context(self._prepare(request()))
            stage()
            if self.requirements:
                making.close()
                preparation = making.enter_context(self._prepare(request()))
            yield preparation

    def _prepare(self, request: Request) -> Preparing:
        """A container is made when it is released."""
        join = self.meeting.join if isinstance(self.meeting, Other) else None
        if self.spec.image.kind == "container":
            return ContainerPreparation(self.spec, self.folder, request, self.afterwards, join)
        question = self._fork_server
        near = str(question.socket(self._run))
        return Preparation(request, near, functools.partial(self._running, question), self.pause, join)

    def begin(self, preparation: Preparing) -> Cell:
        """Lets the job begin. The mark comes first: whoever finds it never runs this instance again."""
        write_durably(self.folder.started, str(time.time()))
        cell = self._begun = preparation.cell()
        if self.reach is not None:
            self.reach.serve(cell.handed)
        try:
            self._meet(cell)
        except BaseException:
            cell.close()
            raise
        cell.release()
        return cell

    def _meet(self, cell: Cell) -> None:
        match self.meeting:
            case First() as first:
                first.begin(cell.network)
            case Other() as other:
                other.begin()

    @property
    def _run(self) -> Path:
        """The folder of the server's sockets."""
        return Path(self.spec.link).parent

    @property
    def _fork_server(self) -> launch.ForkServer:
        image = self.spec.image
        algorithm = image.algorithm if image.kind == "builtin" else ""  # for programs of the user's nothing is loaded
        return launch.ForkServer(image.foundation, algorithm, self.inside)

    def _running(self, question: launch.ForkServer) -> str:
        """The socket of that fork server, which runs then. Raises Unwanted."""
        while True:
            try:
                return launch.ask(self._run, question).socket
            except launch.LauncherAway:
                self.pause(0.2)

    def pause(self, seconds: float) -> None:
        """Raises Unwanted."""
        if not self.wanted():
            raise Unwanted
        time.sleep(seconds)


def own(paths: list[Path], identity: int) -> None:
    """Gives folders to the instance's id, where the server may."""
    if os.geteuid() == 0:
        for each in paths:
            os.chown(each, identity, identity, follow_symlinks=False)
