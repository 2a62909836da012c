"""What every rung of the sandbox does, and the probes that try to get out of those that isolate. A test class gives
the fixture `jail`; `EscapeProbes` is for rungs that isolate."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clary
from clary.sandbox import Confinement, Rung

_PATIENCE = 30.0  # seconds
# A fork server in small: the program comes in as text, what init says goes out as lines.
_STARTER = """
import json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from clary.sandbox import Confinement, enter
confinement = Confinement.from_json(sys.argv[2])
program = sys.argv[3]
def main():
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    exec(compile(program, "program", "exec"), {"os": os, "sys": sys, "json": json, "socket": socket})
    return 0
enter(confinement, socket.socket(fileno=int(sys.argv[4])), main, [int(each) for each in sys.argv[5:]])
"""


@dataclass
class Outcome:
    """`said`: what the job printed, line by line; `status`: its exit status; `error`: why there was none."""

    said: list[str]
    status: int | None = None
    error: str = ""

    @property
    def answer(self) -> Any:
        """The last line, as JSON."""
        return json.loads(self.said[-1])


@dataclass
class Running:
    """A sandbox that runs."""

    process: subprocess.Popen[str]
    control: socket.socket
    confinement: Confinement

    def finish(self) -> Outcome:
        outcome = Outcome([])
        self.control.settimeout(_PATIENCE)
        while said := self.control.recv(65536):
            message = json.loads(said)
            outcome.status = message.get("exit", outcome.status)
            outcome.error = message.get("error", outcome.error)
        outcome.said = self.process.communicate(timeout=_PATIENCE)[0].splitlines()
        self.control.close()
        return outcome

    def first_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


@dataclass
class Jail:
    """Starts sandboxes of one rung below `folder`. python: the interpreter, with its prefix; user: the id to start as,
    None for the caller's own."""

    folder: Path
    rung: Rung
    python: str = sys.executable
    prefixes: Sequence[str] = (sys.prefix, sys.base_prefix)
    user: int | None = None
    count: int = field(default=0)

    def start(self, program: str, network: Sequence[int] = (), **changes: Any) -> Running:
        """`network`: the descriptors of the one to join."""
        self.count += 1
        here = self.folder / str(self.count)
        for each in (here / "ml", here / "root"):
            each.mkdir(parents=True)
        values: dict[str, Any] = {
            "base": str(here / "ml"),
            "root": str(here / "root"),
            "identity": 1_900_000_000 + self.count,
            "shown": (*self.prefixes, str(self._code())),
        }
        confinement = Confinement(self.rung, **{**values, **changes})
        self._give(confinement)
        control, inits = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with inits:
            passed = [inits.fileno(), *network]
            arguments = [str(self._code()), confinement.to_json(), program, *map(str, passed)]
            process = subprocess.Popen(
                [self.python, "-I", "-c", _STARTER, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=passed,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                env={},
            )
        return Running(process, control, confinement)

    def run(self, program: str, **changes: Any) -> Outcome:
        return self.start(program, **changes).finish()

    def answer(self, program: str, **changes: Any) -> Any:
        """What the program prints last, as JSON; its status has to be 0."""
        outcome = self.run(program, **changes)
        assert (outcome.status, outcome.error) == (0, ""), outcome
        return outcome.answer

    def _code(self) -> Path:
        """A copy of what runs inside, readable for everybody."""
        place = self.folder / "code"
        if not place.exists():
            source = Path(clary.__file__).parent
            shutil.copytree(
                source / "sandbox", place / "clary" / "sandbox", ignore=shutil.ignore_patterns("__pycache__")
            )
            (place / "clary" / "__init__.py").touch()
        return place

    def _give(self, confinement: Confinement) -> None:
        if os.geteuid() == 0:
            owner = confinement.identity if self.user is None else self.user
            for each in (confinement.base, *([confinement.sockets] if confinement.sockets else [])):
                os.chown(each, owner, owner)
            if self.user is not None:
                os.chown(confinement.root, owner, owner)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def processes_with(argument: str) -> list[int]:
    """The host's processes that have this argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in arguments[1:]:
                found.append(int(entry.name))
    return found


class SandboxConformance:
    """What every rung must do; a subclass has the fixture `jail`."""

    def test_a_status_is_the_jobs_own(self, jail: Jail) -> None:
        assert jail.run("os._exit(5)").status == 5
        assert jail.run("os.kill(os.getpid(), 9)").status == 137

    def test_sigterm_reaches_the_job(self, jail: Jail) -> None:
        program = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # one that comes before it is waited for is kept
print("up", flush=True)
signal.sigwait({signal.SIGTERM})
os._exit(7)
"""
        running = jail.start(program)
        assert running.first_line() == "up"
        running.control.send(b"term")
        assert running.finish().status == 7

    def test_kill_ends_the_whole_tree(self, jail: Jail) -> None:
        running = jail.start(_FAMILY.format(argument="611.25"))
        assert running.first_line() == "up"
        until(lambda: len(processes_with("611.25")) == 2)
        running.control.send(b"kill")
        assert running.finish().status == 137
        until(lambda: not processes_with("611.25"))

    def test_it_ends_with_its_agent(self, jail: Jail) -> None:
        running = jail.start(_FAMILY.format(argument="611.5"))
        assert running.first_line() == "up"
        until(lambda: len(processes_with("611.5")) == 2)
        running.control.close()
        until(lambda: not processes_with("611.5"))
        running.process.communicate(timeout=_PATIENCE)

    def test_orphans_end_with_the_job(self, jail: Jail) -> None:
        outcome = jail.run("import subprocess; subprocess.Popen(['sleep', '611.75'], start_new_session=True)")
        assert outcome.status == 0
        until(lambda: not processes_with("611.75"))

    def test_the_sandbox_leaves_none_of_its_sockets_to_the_job(self, jail: Jail) -> None:
        program = """
found = []
for name in os.listdir("/proc/self/fd"):
    try:
        found.append(os.readlink(f"/proc/self/fd/{name}"))
    except OSError:
        pass
print(json.dumps(found))
"""
        assert not [each for each in jail.answer(program) if each.startswith("socket:")]

    def test_privileges_cannot_come_back(self, jail: Jail) -> None:
        assert jail.answer(STATUS)["NoNewPrivs"] == "1"


_FAMILY = """
import subprocess
subprocess.Popen(["sleep", "{argument}"])
subprocess.Popen(["sh", "-c", "sleep {argument} & wait"], start_new_session=True)
print("up", flush=True)
import time; time.sleep(600)
"""
STATUS = """
lines = open("/proc/self/status").read().splitlines()
print(json.dumps({name: value.strip() for name, _, value in (line.partition(":") for line in lines)}))
"""
_ATTEMPT = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def attempt(call):
    ctypes.set_errno(0)
    return [call(), ctypes.get_errno()][1]
"""


class EscapeProbes:
    """What a job tries that must not work on a rung that isolates."""

    def test_the_hosts_files_are_not_there(self, jail: Jail, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("s")
        seen = jail.answer(
            f"print(json.dumps([os.listdir('/'), os.path.exists({str(secret)!r}), os.path.exists('/etc/shadow'),"
            "os.path.exists('/var'), os.path.exists('/sys'), os.listdir('/tmp'), os.listdir('/opt/ml')]))"
        )
        names, *there = seen
        assert not {"home", "var", "sys", "mnt", "media", "srv", "boot"} & set(names)
        assert there[:4] == [False] * 4
        assert there[5] == []

    def test_neighbours_trees_are_not_there(self, jail: Jail) -> None:
        other = jail.start("print('up', flush=True); import time; time.sleep(600)")
        assert other.first_line() == "up"
        path = other.confinement.base
        assert jail.answer(f"print(json.dumps(os.path.exists({path!r})))") is False
        other.control.send(b"kill")
        other.finish()

    def test_only_its_own_tree_can_be_written(self, jail: Jail) -> None:
        program = """
def can(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False
paths = ["/x", "/usr/x", "/etc/x", "/etc/passwd", "/dev/x", "/opt/x", "/opt/ml/x", "/tmp/x", "/dev/shm/x"]
print(json.dumps([path for path in paths if can(path)]))
"""
        assert jail.answer(program) == ["/opt/ml/x", "/tmp/x", "/dev/shm/x"]

    def test_readonly_paths_are(self, jail: Jail) -> None:
        here = jail.folder / "given"
        (here / "model").mkdir(parents=True)
        (here / "model").chmod(0o777)
        program = """
try:
    open("/opt/ml/model/x", "w")
    print(json.dumps(""))
except OSError as error:
    print(json.dumps(error.strerror))
"""
        assert jail.answer(program, base=str(here), readonly=("model",)) == "Read-only file system"

    def test_there_is_no_network_but_its_own_loopback(self, jail: Jail) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            program = f"""
def reach(address):
    try:
        socket.create_connection(address, 2).close()
        return "reached"
    except OSError as error:
        return type(error).__name__
own = socket.create_server(("127.0.0.1", 0))
abstract = socket.socket(socket.AF_UNIX)
print(json.dumps([[name for _, name in socket.if_nameindex()], reach(("127.0.0.1", {server.getsockname()[1]})),
                  reach(("192.0.2.1", 80)), reach(own.getsockname())]))
"""
            interfaces, host, outside, own = jail.answer(program)
        assert [name for name in interfaces if name == "lo"] == ["lo"]
        assert (host, own) == ("ConnectionRefusedError", "reached")
        assert outside == "OSError"

    def test_sockets_that_listen_inside_are_the_jails_own(self, jail: Jail) -> None:
        """Handed out by init, reached from inside, and by nobody else."""
        addresses = (("169.254.170.2", 80), ("127.0.0.1", 7467))
        program = f"""
def asked(address):
    try:
        with socket.create_connection(address, 10) as connection:
            return connection.makefile().readline()
    except OSError as error:
        return error.strerror
print(json.dumps([asked(each) for each in {addresses}]))
"""
        first, second = (jail.start(program, listening=addresses) for _ in range(2))
        for running in (second, first):
            listeners = [socket.socket(fileno=each) for each in socket.recv_fds(running.control, 65536, 2)[1]]
            for number, listener in enumerate(listeners):
                with listener, listener.accept()[0] as connection:
                    connection.sendall(f"{number} of {running.confinement.base}\n".encode())
        for running in (first, second):
            outcome = running.finish()
            assert outcome.answer == [f"{number} of {running.confinement.base}\n" for number in (0, 1)]
        assert jail.answer(program) == ["Network is unreachable", "Connection refused"]

    def test_two_share_one_network_and_nothing_else(self, jail: Jail) -> None:
        hosts = ("algo-1", "algo-2")
        serve = """
listener = socket.create_server(("algo-1", 4000))
print("up", flush=True)
connection, peer = listener.accept()
print(json.dumps([connection.makefile().readline(), peer[0], os.path.exists("/opt/ml/made"), socket.gethostname()]))
"""
        first = jail.start(serve, hosts=hosts, shares=True, listening=(("127.0.0.1", 7467),))
        message, descriptors, _, _ = socket.recv_fds(first.control, 65536, 8)
        sockets = json.loads(message)["sockets"]
        assert first.first_line() == "up"
        ask = """
open("/opt/ml/made", "w").close()
connection = socket.create_connection(("algo-1", 4000), 30, source_address=("algo-2", 0))
connection.sendall(b"from the second\\n")
print(json.dumps([connection.getpeername()[0], socket.gethostname()]))
"""
        second = jail.start(
            ask, descriptors[sockets:], hosts=hosts, hostname="algo-2", listening=(("127.0.0.1", 7467),)
        )
        for each in descriptors[sockets:]:
            os.close(each)
        assert second.finish().answer == ["127.0.0.2", "algo-2"]
        assert first.finish().answer == ["from the second\n", "127.0.0.3", False, "algo-1"]
        os.close(descriptors[0])

    def test_the_authorities_that_are_given_are_the_ones_inside(self, jail: Jail) -> None:
        program = "print(json.dumps(open('/etc/ssl/certs/ca-certificates.crt').read()))"
        assert jail.answer(program, authorities="of the server\n") == "of the server\n"

    def test_no_process_of_the_host_is_seen_or_signalled(self, jail: Jail) -> None:
        program = f"""
pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
def kill(pid):
    try:
        os.kill(pid, 0)
        return True
    except OSError:
        return False
try:
    os.kill(1, 9)
except OSError:
    pass
print(json.dumps([pids, kill({os.getpid()})]))
"""
        pids, reached = jail.answer(program)
        assert pids == [1, 2]
        assert not reached

    def test_init_cannot_be_touched(self, jail: Jail) -> None:
        program = """
def can(path):
    try:
        open(path, "r+b").close()
        return True
    except OSError:
        return False
print(json.dumps([can("/proc/1/mem"), os.access("/proc/1/fd", os.R_OK), can("/proc/self/mem")]))
"""
        assert jail.answer(program) == [False, False, True]

    def test_no_capability_and_no_way_to_one(self, jail: Jail) -> None:
        status = jail.answer(STATUS)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert status["Seccomp"] == "2"
        assert len(set(status["Uid"].split())) == 1

    def test_kernel_surface_is_denied(self, jail: Jail) -> None:
        program = (
            _ATTEMPT
            + """
print(json.dumps([attempt(lambda: libc.unshare(0x10000000)),
                  attempt(lambda: libc.mount(b"t", b"/tmp", b"tmpfs", 0, None)),
                  attempt(lambda: libc.ptrace(16, 1, 0, 0)), attempt(lambda: libc.setns(0, 0)),
                  attempt(lambda: libc.syscall(435, None, 0)), attempt(lambda: libc.syscall(425, 1, None))]))
"""
        )
        eperm, enosys = 1, 38
        assert jail.answer(program) == [eperm, eperm, eperm, eperm, enosys, eperm]

    def test_a_new_user_namespace_by_clone_is_denied(self, jail: Jail) -> None:
        program = _ATTEMPT + "print(json.dumps(attempt(lambda: libc.syscall(CLONE, 0x10000000 | 17, 0, 0, 0, 0))))"
        number = {"x86_64": "56", "aarch64": "220"}[os.uname().machine]
        assert jail.answer(program.replace("CLONE", number)) == 1

    def test_threads_and_subprocesses_work(self, jail: Jail) -> None:
        program = """
import subprocess, threading
seen = []
thread = threading.Thread(target=lambda: seen.append(1))
thread.start(); thread.join()
print(json.dumps([seen, subprocess.run(["sh", "-c", "echo out"], capture_output=True, text=True).stdout]))
"""
        assert jail.answer(program) == [[1], "out\n"]

    def test_files_it_makes_belong_to_an_unprivileged_id_outside(self, jail: Jail) -> None:
        making = "os.makedirs('/opt/ml/model', exist_ok=True); open('/opt/ml/model/made', 'w').close()"
        running = jail.start(f"{making}; print(json.dumps(os.getuid()))")
        outcome = running.finish()
        assert outcome.answer == 0
        owner = Path(running.confinement.base, "model", "made").stat().st_uid
        assert owner == (running.confinement.identity if jail.user is None and os.geteuid() == 0 else owner) != 0

    def test_memory_is_bounded_for_each_process(self, jail: Jail) -> None:
        program = """
try:
    bytearray(1 << 30)
    print(json.dumps("got it"))
except MemoryError:
    print(json.dumps("bounded"))
"""
        assert jail.answer(program, data_limit=512 << 20) == "bounded"
