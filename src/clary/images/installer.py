"""Virtual environments made and filled by uv or, where there is none, by pip."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from clary.images import bytecode, pythons
from clary.images.base import ImageBuildFailed

Report = Callable[[str], None]

_CPU_BUILD = "+cpu "  # of a version in a lock file
_PATIENCE = 5.0  # seconds for a command to end by itself
_NOT_FOR_BUILDS = ("PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_COMPILE_BYTECODE")


@dataclass(frozen=True, slots=True)
class Installer:
    """`uv` is its command, empty for pip; `python` the interpreter under what it makes. `lock`: a descriptor that the
    commands inherit, so that the next build waits for what a killed server left running. `advice` begins what a failure
    says. Every method raises ImageBuildFailed."""

    uv: tuple[str, ...]
    python: str
    lock: int
    report: Report
    advice: str

    def venv(self, place: Path, pip: bool = True) -> None:
        """`pip`: where pip fills it, it has to be there; else what the machine has is not wanted."""
        if self.uv:
            self._run([*self.uv, "venv", "--quiet", "--no-project", "--python", self.python, str(place)])
        else:
            self._run([self.python, "-m", "venv", *([] if pip else ["--without-pip"]), str(place)])

    def install_locked(self, place: Path, packages: Path) -> None:
        """What a lock file with hashes names, and nothing else; without the network where uv's cache has it all."""
        self.report("Installing its packages")
        if not self.uv:
            self._pip(place, "--require-hashes", "--no-deps", "-r", str(packages))
            return
        self._uv_install_locked(place, packages)
        self.report("Compiling their byte code")
        self._compile(place)

    def _uv_install_locked(self, place: Path, packages: Path) -> None:
        command = ["--require-hashes", "--no-deps", "--no-compile-bytecode", "-r", str(packages)]
        *sources, last = _sources(packages.read_text(encoding="utf-8"))
        for source in sources:
            with contextlib.suppress(ImageBuildFailed):
                self._uv_install(place, [*command, *source], lambda _: None)
                return
        self._uv_install(place, [*command, *last], self.report)

    def install_wheels(self, place: Path, requirements: Path) -> None:
        """What the requirements ask for besides what is there, and what that depends on; no package's code is run.

        So the environment's own interpreter is not started any more once they are in: it would run their *.pth files
        and their sitecustomize. What it is asked for before, it answers with what the image has."""
        if self.uv:
            command = ["--no-build", "--no-compile-bytecode", "-r", str(requirements)]  # its compiler is a start
            self._uv_install(place, command, self.report)
        else:
            self._pip_of_a_copy(place, "--only-binary", ":all:", "-r", str(requirements))
        self._compile(place)

    def _compile(self, place: Path) -> None:
        self._run([self.python, "-I", "-S", bytecode.__file__, str(place / "lib"), str(bytecode.store_of(place))])

    def _uv_install(self, place: Path, words: list[str], report: Report) -> None:
        # copies, not hard links: a job must not be able to reach uv's cache through its environment
        command = [*self.uv, "pip", "install", "--python", str(place / "bin" / "python"), "--link-mode", "copy"]
        self._run([*command, *_folders_of_wheels(), *words], report)

    def _pip(self, place: Path, *words: str, program: tuple[str, ...] = ("-m", "pip")) -> None:
        self._run([str(place / "bin" / "python"), "-I", *program, "install", "--no-input", *words])

    def _pip_of_a_copy(self, place: Path, *words: str) -> None:
        """pip imports parts of itself late, and a wheel may have replaced them by then: those of a copy stay."""
        pip = next(place.glob("lib/python*/site-packages/pip"), None)
        if pip is None:
            raise ImageBuildFailed(f"{self.advice}\nThere is neither uv nor, in the environment, pip.")
        with tempfile.TemporaryDirectory(prefix="clary-pip-") as folder:
            copy = shutil.copytree(pip, Path(folder, "pip"))
            self._pip(place, *words, program=(str(copy),))

    def _run(self, command: list[str], report: Report | None = None) -> None:
        """Runs it, reports its lines; raises ImageBuildFailed with the last of them."""
        report = report or self.report
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_BUILDS}
        try:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
                pass_fds=(self.lock,),
                umask=0o022,  # jobs run as another user than this one
            ) as child:
                lines = _followed(child, report)
        except OSError as problem:
            raise ImageBuildFailed(f"{command[0]} could not be started: {problem}") from problem
        if child.returncode:
            tail = "\n".join(lines[-15:])
            raise ImageBuildFailed(f"{self.advice}\n{tail}")


def _followed(child: subprocess.Popen[str], report: Report) -> list[str]:
    """Its lines. It does not outlive a Ctrl-C, which may have reached it too: what it has made is removed then."""
    assert child.stdout is not None
    lines = []
    try:
        for line in child.stdout:
            lines.append(line.rstrip())
            report(lines[-1])
    except BaseException:
        try:
            child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    return lines


def _sources(packages: str) -> list[list[str]]:
    """Where uv is to look, one after the other. PyTorch publishes its builds for the CPU on an index of its own, which
    uv knows; a folder of wheels or a mirror that is configured may have them too, and is asked before."""
    configured: list[list[str]] = [["--offline"], []]
    return [*configured, ["--torch-backend", "cpu"]] if _CPU_BUILD in packages else configured


def _folders_of_wheels() -> list[str]:
    """What PIP_FIND_LINKS names, which uv does not read; where it has folders of its own, they stand."""
    if "UV_FIND_LINKS" in os.environ:
        return []
    return [word for place in os.environ.get("PIP_FIND_LINKS", "").split() for word in ("--find-links", place)]


def find(environment: str, lock: int, report: Report, advice: str) -> Installer:
    """For the environment of that name, or one with more in it. Raises ImageBuildFailed where its Python is missing."""
    return Installer(_uv(), pythons.interpreter(pythons.version_of(environment)), lock, report, advice)


def _uv() -> tuple[str, ...]:
    found = shutil.which("uv")
    if found:
        return (found,)
    return (sys.executable, "-m", "uv") if find_spec("uv") else ()
