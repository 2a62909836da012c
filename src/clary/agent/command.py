"""Which command runs for a folder of programs, or in place of an image's own, by the container contract."""

from __future__ import annotations

import json
import os
from pathlib import Path

from clary.agent.failures import ClientFailure
from clary.contract.instance import InstanceSpec
from clary.sandbox import Confinement

COMMAND_VARIABLE = "CLARY_COMMAND"
FOLDER_VARIABLE = "CLARY_WORKING_FOLDER"


def of_training(spec: InstanceSpec, confinement: Confinement) -> list[str]:
    """The request's entry point with its arguments; else the folder's `train`, which stands for an image's entry point
    with the argument `train` and so is given the request's arguments alone. Raises ClientFailure."""
    return [*(spec.entrypoint or _program(spec, confinement, "train")), *spec.arguments]


def of_serving(spec: InstanceSpec, confinement: Confinement) -> list[str]:
    """Raises ClientFailure."""
    return _program(spec, confinement, "serve")


def variables(command: list[str], confinement: Confinement) -> dict[str, str]:
    """What tells the entry points `command` and `command-serving` (clary.runner.command) what to run, and where."""
    found = {COMMAND_VARIABLE: json.dumps(command)}
    return found | {FOLDER_VARIABLE: confinement.inside_programs} if confinement.programs else found


def _program(spec: InstanceSpec, confinement: Confinement, name: str) -> list[str]:
    """As a process's first words: an executable file by itself, any other by the environment's Python."""
    inside = confinement.inside_programs
    for each in (name, f"{name}.py"):
        path = Path(confinement.programs, each)
        if path.is_file():
            runs = os.access(path, os.X_OK) and path.stat().st_mode & 0o100
            return [f"{inside}/{each}"] if runs else ["python", f"{inside}/{each}"]
    raise ClientFailure(
        f"The folder that stands for image {spec.image.uri} has no program `{name}` (or {name}.py). Add one and "
        "register the folder again."
    )
