"""Inside: runs a training script of the user's as AWS's containers do: SM_* variables, arguments, exit status, failure.

The agent has put the code into /opt/ml/code and what its requirements.txt names into the environment on the PATH. The
script is a process of its own: a fresh interpreter, or a shell for a shell's script.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clary.algorithms import log
from clary.contract.layout import Layout
from clary.runner import companions, distribution, launchers, variables
from clary.runner.distribution import Unsupported
from clary.runner.variables import Script

FRAMEWORK_VARIABLE = "CLARY_FRAMEWORK"
_PACKAGES = "/tmp/packages"  # where a package of the user's goes; the environment itself cannot be written
_TAIL = 64 * 1024  # bytes of stderr that are kept for the failure
_LONGEST_MESSAGE = 700  # characters: with the rest it has to fit the 1024 of a FailureReason
_LONGEST_COMMAND = 160
_PATIENCE = 2.0  # seconds for what is in the pipe; something that the script left behind may hold it open


class ScriptError(Exception):
    """Ends the job; the text is the failure file's."""


def main() -> int:
    """The process's exit status."""
    layout = Layout.here()
    try:
        _run(layout)
    except (ScriptError, Unsupported) as problem:
        log.error("Reporting training FAILURE")
        log.error(str(problem))
        layout.failure.write_text(str(problem), encoding="utf-8")
        return 1
    log.info("Reporting training SUCCESS")
    (layout.output / "success").touch()
    return 0


def _run(layout: Layout) -> None:
    script = Script.of(_read(layout.hyperparameters), os.environ, layout)
    if not script.program:
        raise ScriptError(
            "ClientError: This image runs a script: give the hyperparameters sagemaker_program and "
            "sagemaker_submit_directory, as the estimators of the SageMaker SDK do with entry_point and source_dir."
        )
    _bring(script.directory, layout.code)
    resources, channels = _read(layout.resource_config), _read(layout.input_data_config)
    framework = os.environ.get(FRAMEWORK_VARIABLE, "")
    spread = distribution.asked(script.settings, script.user, resources, framework)
    if spread.note:
        log.warning(spread.note)
    environment = os.environ | variables.variables(script, layout, resources, channels, framework, spread)
    environment |= launchers.told(spread)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(layout.code), os.environ.get("PYTHONPATH"))))
    python = shutil.which("python", path=environment["PATH"]) or sys.executable
    command = launchers.of(spread, _command(python, script, layout.code, environment))
    if spread.way == "mpi" and not spread.leads:
        log.info(f"{spread.hosts[0]} starts the processes of this host")
        companions.follow(spread, layout.code, environment)
        return
    log.info("Invoking user script")
    log.info(f"Invoking script with the following command: {shlex.join(command)}")
    with companions.beside(spread, python, environment):
        _check("ExecuteUserScriptError", command, layout.code, environment, partial(launchers.heard, spread))


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _bring(directory: str, code: Path) -> None:
    """Code that is not in S3 is in the job already: a folder, an archive or a file of a channel."""
    source = Path(directory.removeprefix("file://"))
    if directory.startswith("s3://") or source == code:
        return
    if source.is_dir():
        shutil.copytree(source, code, dirs_exist_ok=True)
    elif source.is_file() and tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # as an argument from 3.11.4 on only
            archive.extractall(code)
    elif source.is_file():
        shutil.copy(source, code)
    else:
        raise ScriptError(f"ClientError: sagemaker_submit_directory is {directory}, which is not there.")
    if (code / "requirements.txt").exists():
        raise ScriptError(
            "ClientError: A requirements.txt is installed of code in S3 only. Give sagemaker_submit_directory as the "
            "S3 URI of a sourcedir.tar.gz."
        )


def _command(python: str, script: Script, code: Path, environment: dict[str, str]) -> list[str]:
    """A package with a setup.py runs as a module, other Python as a file, the rest by a shell."""
    given = variables.arguments(script.user)
    if (code / "setup.py").exists() and not script.program.endswith(".sh"):
        _install(python, code, environment)
        return [python, "-m", script.module.replace("/", "."), *given]
    if not (code / script.program).is_file():
        raise ScriptError(f"ClientError: The entry point {script.program} is not in the code of this job.")
    if script.program.endswith(".py"):
        return [python, script.program, *given]
    (code / script.program).chmod(0o755)
    return ["/bin/sh", "-c", shlex.join([f"./{script.program}", *given])]


def _install(python: str, code: Path, environment: dict[str, str]) -> None:
    log.info("Installing module.")
    command = [python, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    _check("InstallModuleError", [*command, "--target", _PACKAGES, "."], code, environment)
    environment["PYTHONPATH"] = f"{_PACKAGES}{os.pathsep}{environment['PYTHONPATH']}"


def _check(
    error: str,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    heard: Callable[[str], str] = str,
) -> None:
    """Runs it, its streams being the job's; raises ScriptError unless its status is 0. A SIGTERM is handed on. What
    matters of its stderr is for `heard` to say."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(command, cwd=folder, env=environment, stderr=writing)
    except OSError as problem:
        raise ScriptError(_failure(error, command, 1, str(problem))) from problem
    finally:
        os.close(writing)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    tail = bytearray()
    reader = threading.Thread(target=_tee, args=(reading, tail), daemon=True)
    reader.start()
    status = process.wait()
    reader.join(_PATIENCE)
    if status:
        raise ScriptError(_failure(error, command, status, heard(tail.decode(errors="replace"))))


def _tee(source: int, tail: bytearray) -> None:
    """From the script's stderr to the job's, keeping the end of it."""
    while piece := os.read(source, 65536):
        os.write(2, piece)
        tail += piece
        del tail[:-_TAIL]


def _failure(error: str, command: Sequence[str], status: int, said: str) -> str:
    """In the form of AWS's toolkit. Of a traceback the end matters: it says what was wrong, and where."""
    begin = said.rfind("Traceback (most recent call last)")
    message = said[max(begin, 0) :].strip() if begin >= 0 else said.strip().rpartition("\n")[2]
    if len(message) > _LONGEST_MESSAGE:
        message = f"...{message[-_LONGEST_MESSAGE:]}"
    extra = '\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"' if status == -signal.SIGKILL else ""
    code = status if status > 0 else 128 - status
    return f'{error}:\nExitCode {code}\nErrorMessage "{message}"{extra}\nCommand "{_shortened(command)}"'


def _shortened(command: Sequence[str]) -> str:
    text = shlex.join([Path(command[0]).name, *command[1:]])
    return text if len(text) <= _LONGEST_COMMAND else f"{text[:_LONGEST_COMMAND]}..."
