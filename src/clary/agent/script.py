"""The user's code: brought in, and the environment made with what its requirements.txt names."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clary.agent import drivers
from clary.agent.context import Context
from clary.agent.failures import AlgorithmFailure
from clary.agent.s3 import S3, Unwanted
from clary.agent.stage import stage_archive

_SUBMIT = "sagemaker_submit_directory"
_LIBRARIES = "shared_libs"
_MPI = "sagemaker_mpi_enabled"
_MPI_PACKAGES = "mpi4py==4.1.2\nmpich==5.0.2\n"
_LOOK = 0.2  # seconds between two looks at the orders
_LONGEST = 600  # characters of an installer's last words in a FailureReason


def stage(context: Context, s3: S3) -> None:
    """For images that run scripts. Code that is not in S3 is the runner's to find, inside; where a command of the
    request's runs, nothing looks for any. Raises AlgorithmFailure, ClientFailure, InternalFailure, Unwanted."""
    if context.spec.image.kind != "framework" or context.spec.entrypoint:
        return
    source, code = _source(context), context.layout.code
    if source.startswith("s3://"):
        stage_archive(s3, source, code, "Code")
        context.give(code)
        install(context, code)
    _install_mpi(context)


def stage_served(context: Context, s3: S3) -> None:
    """The same for a model, which is in place: its archive may hold code too. Raises as `stage` does."""
    stage(context, s3)
    with contextlib.suppress(OSError):  # what SDK v3 writes for a model copies it to /lib, where no job may write:
        (context.layout.model / _LIBRARIES).rmdir()  # without any library in it, it need not be there
    if not context.requirements and context.spec.image.kind == "framework":
        install(context, context.layout.model / "code")


def _install_mpi(context: Context) -> None:
    """What AWS's images for it have and environments have not, for jobs that ask for it, unless the code brings it."""
    if _setting(context, _MPI) and not Path(context.environment, "bin", "mpiexec.hydra").exists():
        folder = context.folder.scratch / "mpi"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mpi.txt").write_text(_MPI_PACKAGES)
        install(context, folder, "mpi.txt")


def _source(context: Context) -> str:
    """As the SDK gives it: JSON in a hyperparameter, plain in a variable."""
    return str(_setting(context, _SUBMIT) or context.spec.environment.get(_SUBMIT.upper(), ""))


def _setting(context: Context, name: str) -> Any:
    """A hyperparameter of the SDK's own: JSON, or a text that is none."""
    text = context.spec.hyperparameters.get(name, "")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def stage_driven(context: Context) -> None:
    """For a command of the request's, once the channels are in place: they may hold code, with the SDK's own way to run
    it. Raises as `stage` does."""
    if not context.spec.entrypoint or context.spec.image.kind == "container":  # what that has is its own business
        return
    found = drivers.requirements(context.spec, context.layout, context.folder.scratch)
    if found is not None:
        install(context, *found)


def install(context: Context, code: Path, name: str = "requirements.txt") -> None:
    """Has the environment for the folder's file of requirements made, if there is one: outside, since a sandbox has no
    network, and of wheels only, since nothing of the user's runs outside. Two that ask at once make it once."""
    if not os.path.isfile(code / name):  # noqa: PTH113 - a name that can be no file's is none, too
        return
    context.say(f"Installing dependencies from {name}")
    command = [sys.executable, "-P", "-m", "clary.images.requirements", context.environment, str(code), name]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        lines = list(_followed(context, process))
        place = process.stdout.read().decode()
    if process.returncode:
        said = "\n".join(lines)[-_LONGEST:]
        raise AlgorithmFailure(
            f'InstallRequirementsError:\nExitCode {process.returncode}\nErrorMessage "{said}"\n'
            f'Command "python -m pip install -r {name}"'
        )
    context.requirements = place


def _followed(context: Context, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines of its stderr, each told in the job's log. Raises Unwanted, after ending it, when the instance is not
    wanted."""
    assert process.stderr is not None
    rest = b""
    while True:
        if select.select([process.stderr], [], [], _LOOK)[0]:
            piece = os.read(process.stderr.fileno(), 65536)
            *whole, rest = (rest + piece).split(b"\n")
            lines = [line.decode(errors="replace") for line in whole]
            for line in lines:
                context.say(line)
            yield from lines
            if not piece:
                return
        elif not context.wanted():
            os.killpg(process.pid, signal.SIGTERM)
            raise Unwanted
