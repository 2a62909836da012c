"""Containers do as every sandbox does, and what is tried to get out of one fails."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clary.agent.cell import Cell, Request
from clary.agent.container import ContainerPreparation
from clary.contract.folder import InstanceFolder
from clary.contract.instance import Image, InstanceSpec
from clary.contract.layout import Layout
from clary.sandbox import Confinement, syscalls
from clary.sandbox.confinement import id_range
from clary.testing.sandbox_conformance import STATUS, EscapeProbes, Jail, Running, SandboxConformance
from flows import container_images
from flows.python_image import PYTHON, python_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

STARTER = """
import json, os, socket, sys
sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
exec(compile(sys.argv[1], "program", "exec"), {"os": os, "sys": sys, "json": json, "socket": socket})
"""
NAMES = ("job_name", "job_arn", "account", "region", "role_arn", "token", "log_group", "log_stream")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    podman = container_images.working_engine()
    folder = python_image(tmp_path_factory.mktemp("image"))
    name = f"localhost/clary-test-{uuid.uuid4().hex[:8]}:1"
    podman.fetch("build", "--quiet", "--ulimit", "nofile=4096:4096", "--tag", name, str(folder))
    yield name
    podman.ask("rmi", "--force", name)


@dataclass
class ContainerJail(Jail):
    """Starts containers. What a sandbox's init says and is told is said and told by a thread here, of its cell."""

    image: str = ""
    memory: int = 0
    cells: list[Cell] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack)

    def start(self, program: str, network: Sequence[int] = (), **changes: Any) -> Running:
        self.count += 1
        here = self.folder / str(self.count)
        (here / "ml").mkdir(parents=True)
        instance = f"jail-{uuid.uuid4().hex[:12]}"
        values: dict[str, Any] = {"base": str(here / "ml"), "root": "", "identity": id_range(instance)[0]}
        confinement = Confinement("namespaces", **{**values, **changes})
        layout = Layout(Path(confinement.base))
        for each in (*layout.inputs(), *layout.outputs()):
            each.mkdir(parents=True, exist_ok=True)
        for each in (layout.base, *layout.base.iterdir()):
            os.chown(each, confinement.identity, confinement.identity)
        spec = InstanceSpec(
            id=instance,
            purpose="training",
            image=Image("container", self.image, "", "", container=self.image),
            host=confinement.hostname,
            link=str(here / "link"),
            memory=self.memory,
            entrypoint=(PYTHON, "-I", "-c", STARTER, program),
            **dict.fromkeys(NAMES, "x"),
        )
        taken = [os.dup(each) for each in network]
        request = Request("", confinement, {})
        join = (lambda: taken) if taken else None
        cell = ContainerPreparation(spec, InstanceFolder(here), request, self.closing, join).cell()
        self.cells.append(cell)
        control, inits = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader = subprocess.Popen(["cat"], stdin=cell.stdout, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=_follow, args=(cell, inits, reader), daemon=True).start()
        return Running(reader, control, confinement)


def _follow(cell: Cell, control: socket.socket, reader: subprocess.Popen[str]) -> None:
    with control:
        if cell.handed or cell.network:
            descriptors = [*(each.fileno() for each in cell.handed), *cell.network]
            socket.send_fds(control, [json.dumps({"sockets": len(cell.handed)}).encode()], descriptors)
        cell.release()
        while not cell.ended:
            ready = select.select([cell.control.fileno(), control], [], [])[0]
            if control in ready:
                match control.recv(64):
                    case b"term":
                        cell.terminate()
                    case b"kill":
                        cell.kill()
                    case _:
                        cell.close()
                        return
            else:
                cell.hear()
        with contextlib.suppress(BrokenPipeError):
            control.send(json.dumps({"exit": cell.status}).encode())


class TestContainers(SandboxConformance, EscapeProbes):
    @pytest.fixture
    def jail(self, image: str, tmp_path: Path) -> Iterator[ContainerJail]:
        if os.geteuid() != 0:
            pytest.skip("the tests run as an ordinary user already")
        with ExitStack() as closing:
            yield ContainerJail(tmp_path, "namespaces", image=image, closing=closing)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 0)  # an agent is one until it ends

    def test_a_status_is_the_jobs_own(self, jail: Jail) -> None:
        """Its program is the first process, which no signal of its own ends."""
        assert jail.run("os._exit(5)").status == 5
        killed = "import subprocess; os._exit(128 - subprocess.run(['sh', '-c', 'kill -9 $$']).returncode)"
        assert jail.run(killed).status == 137

    def test_the_hosts_files_are_not_there(self, jail: Jail, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("s")
        names, seen, shadow = jail.answer(
            f"print(json.dumps([os.listdir('/'), os.path.exists({str(secret)!r}), os.path.exists('/etc/shadow')]))"
        )
        assert not {"home", "mnt", "media", "srv", "boot"} & set(names)
        assert (seen, shadow) == (False, False)

    def test_only_its_own_tree_can_be_written(self, jail: Jail) -> None:
        """The image's files are the container's own copy; the kernel's are nobody's."""
        program = """
paths = ["/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
         "/sys/kernel/uevent_helper", "/sys/fs/cgroup/x", "/sys/fs/cgroup/memory/x", "/etc/hosts"]
def can(path):
    try:
        open(path, "r+" if os.path.exists(path) else "w").close()
        return True
    except OSError:
        return False
print(json.dumps([path for path in paths if can(path)]))
"""
        assert jail.answer(program) == []

    def test_what_the_kernel_tells_of_the_machine_is_masked(self, jail: Jail) -> None:
        program = """
def read(path):
    try:
        return len(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(16))
    except OSError:
        return 0
paths = ["/proc/keys", "/proc/kcore", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/proc/acpi",
         "/sys/class/net", "/sys/fs/selinux", "/proc/kmsg", "/sys/firmware"]
print(json.dumps([path for path in paths if read(path)]))
"""
        assert jail.answer(program) == []

    def test_no_process_of_the_host_is_seen_or_signalled(self, jail: Jail) -> None:
        program = f"""
pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
try:
    os.kill({os.getpid()}, 0)
    reached = True
except OSError:
    reached = False
print(json.dumps([pids, reached]))
"""
        assert jail.answer(program) == [[1], False]

    def test_init_cannot_be_touched(self, jail: Jail) -> None:
        """There is none: the program is the first process. Its namespaces are its own."""
        kinds = ("user", "net", "mnt", "pid", "uts", "ipc")
        inside = jail.answer(f"print(json.dumps([os.stat('/proc/self/ns/' + each).st_ino for each in {kinds}]))")
        outside = [Path(f"/proc/self/ns/{each}").stat().st_ino for each in kinds]
        assert not set(inside) & set(outside)

    def test_no_capability_and_no_way_to_one(self, jail: Jail) -> None:
        """But those over its own files and ids, in its user namespace."""
        status = jail.answer(STATUS)
        harmless = sum(1 << each for each in (0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31))
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) & ~harmless == 0, name
        assert status["Seccomp"] == "2"

    def test_memory_is_bounded_for_each_process(self, jail: ContainerJail) -> None:
        jail.memory = 256 << 20
        assert jail.run("bytearray(os.urandom(1 << 20) * 1024)").status == 137
        assert jail.cells[-1].exceeded
