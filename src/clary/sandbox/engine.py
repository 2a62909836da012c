"""The container engine of this machine: found by looking, asked on its command line. Standard library only.

It is podman. Docker gives a container no network namespace that was made beforehand, in which a job's listening sockets
have to be before it begins.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clary.sandbox import monitors
from clary.sandbox.probe import Fact

INSTALL = "Install podman (apt-get install podman, dnf install podman) and run Clary as root"
_INSTEAD = "Without containers folders stand for images: clary images register."
_PATIENCE = 60.0  # seconds for an answer of the engine
_LONGEST_TRANSFER = 3600.0  # seconds
_LOOKS = 0.1  # seconds between looks for what stands in a transfer's way
_MOST_FILES, _MOST_PROCESSES = 1_048_576, 16_384
_OLDEST = (4, 1)  # of podman: the first that knows all the words which containers are run with
_STATE = "{{.State.Status}} {{.State.ExitCode}}"


class NoEngine(Exception):
    """No container can run here; the message says why and what to do."""


class EngineError(Exception):
    """The engine could not do what it was asked; the message is its own."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`command` begins every call: the program, with what this machine needs to be said."""

    command: tuple[str, ...]

    def ask(self, *words: str, patience: float = _PATIENCE) -> str:
        """What it prints. Raises EngineError."""
        command = [*self.command, *words]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{self.command[0]} {words[0]}: {error}") from error
        if done.returncode:
            raise EngineError(_last_line(done.stderr) or f"{self.command[0]} {words[0]} ended with {done.returncode}")
        return done.stdout

    def fetch(self, *words: str, obstacle: Callable[[], str] = str) -> str:
        """As `ask`, for what may take long. `obstacle` is asked again and again meanwhile: what it says ends the call,
        with all processes of its, and is the error."""
        command, until = [*self.command, *words], time.monotonic() + _LONGEST_TRANSFER

        def delayed() -> str:
            return "" if time.monotonic() < until else f"it took more than {_LONGEST_TRANSFER:.0f} seconds"

        try:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # one of its processes unpacks, and would go on without it
            ) as child:
                out, err = _followed(child, lambda: obstacle() or delayed())
        except OSError as error:
            raise EngineError(f"{self.command[0]} {words[0]}: {error}") from error
        if child.returncode:
            raise EngineError(_last_line(err) or f"{self.command[0]} {words[0]} ended with {child.returncode}")
        return out

    def exit_status(self, container: str) -> int:
        """Of one that has ended. Raises EngineError when it has not, or nobody noted it."""
        state, code = self.ask("container", "inspect", "--format", _STATE, container).split()
        if state not in ("exited", "stopped") or int(code) < 0:
            raise EngineError(f"the container is {state}, its exit code {code}")
        return int(code)

    def remove(self, container: str) -> None:
        """Ends the container, if it runs, and deletes it, if it is there: also one that nobody finished making, whose
        processes the engine does not know. Raises EngineError."""
        monitors.end(container)
        self.ask(*removal(container))


def _followed(child: subprocess.Popen[str], obstacle: Callable[[], str]) -> tuple[str, str]:
    """What it prints, and says of errors. Raises EngineError with the obstacle. It does not outlive this."""
    try:
        while True:
            try:
                return child.communicate(timeout=_LOOKS)
            except subprocess.TimeoutExpired:
                if why := obstacle():
                    raise EngineError(why) from None
    except BaseException:  # a Ctrl-C among them, which does not reach it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        raise


def find() -> Engine:
    """Raises NoEngine. Quick: nothing is run."""
    program = shutil.which("podman")
    if program is None:
        other = shutil.which("docker")
        about = f"; {other} is there, but Clary runs containers by podman only" if other else ""
        raise NoEngine(f"No container engine was found{about}. {INSTALL}.")
    if os.geteuid() != 0:
        raise NoEngine(
            f"{program} is there, but containers are run only where Clary runs as root: each has a range of user ids "
            "and a network namespace of its own, which are made outside of it. Start it with sudo, or as root."
        )
    return Engine((program, *_options()))


def look() -> Fact:
    """What `clary doctor` says. Asks the engine whether it works."""
    try:
        engine = find()
    except NoEngine as error:
        return Fact("containers", False, f"{error} {_INSTEAD}")
    program = engine.command[0]
    try:
        version, runtime = engine.ask("info", "--format", "{{.Version.Version}} {{.Host.OCIRuntime.Name}}").split()
    except (EngineError, ValueError) as error:
        without = " Install what it starts containers with: apt-get install runc." if "runtime" in str(error) else ""
        return Fact("containers", False, f"{program} is there, but does not work: {error}.{without} {_INSTEAD}")
    unfit = _unfit(version, runtime)
    if unfit:
        return Fact("containers", False, f"{program} is there, but {unfit}. {_INSTEAD}")
    return Fact("containers", True, f"Container images run by {program} {version} with {runtime}.")


def _unfit(version: str, runtime: str) -> str:
    """Why no container runs by it; "" when they do."""
    if tuple(int(each) for each in re.findall(r"\d+", version)[:2]) < _OLDEST:
        return f"it is podman {version}, and containers need 4.1 or newer"
    if runtime == "crun" and not _cgroups_of_version_2():
        return "the cgroups of this machine are of version 1, where crun starts no container: apt-get install runc"
    return ""


def removal(container: str) -> list[str]:
    """Words that end and delete a container with the volumes that its image asked for, if it is there."""
    return ["rm", "--force", "--volumes", "--time", "0", "--ignore", container]


def limits() -> list[str]:
    """Words for `run`: engines raise these limits by themselves, which not every root may."""
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], _MOST_FILES)
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = _MOST_PROCESSES if most == resource.RLIM_INFINITY else min(most, _MOST_PROCESSES)
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]


def _options() -> Sequence[str]:
    """Without systemd there is nobody to ask for cgroups, nor a journal; and where cgroups are of version 1, crun (the
    usual runtime) does not run and runc does."""
    found: list[str] = []
    if not Path("/run/systemd/system").is_dir():
        found += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    if not _cgroups_of_version_2() and shutil.which("runc"):
        found += ["--runtime", "runc"]
    return found


def _cgroups_of_version_2() -> bool:
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else ""
