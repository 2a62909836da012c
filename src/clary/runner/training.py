"""Inside: runs one training job of a built-in algorithm, from the contract's files to the model and the exit status.

The algorithm is named by CLARY_ALGORITHM. A failure goes to /opt/ml/output/failure, its class first (`ClientError:
...`), and decides the status: 2 for what the user gave, 1 for the algorithm, 3 for the surroundings.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from clary.algorithms import log, registry
from clary.algorithms.declaration import AlgorithmSpec, TrainingJob
from clary.algorithms.errors import AlgorithmError, ClientError, InternalError, JobError
from clary.contract.layout import Layout

ALGORITHM_VARIABLE = "CLARY_ALGORITHM"


def main() -> int:
    """The process's exit status."""
    layout = Layout.here()
    try:
        spec = _spec()
        log.info("Docker entrypoint called with argument(s): train")
        log.info(f"Running built-in algorithm {spec.name} in algorithm mode")
        registry.trainer(spec.name)(read_job(spec, layout))
    except JobError as problem:
        return _fail(layout, problem)
    except OSError as problem:
        traceback.print_exc()
        return _fail(layout, InternalError(str(problem)))
    except Exception as problem:
        traceback.print_exc()
        return _fail(layout, AlgorithmError(f"{type(problem).__name__}: {problem}"))
    return 0


def read_job(spec: AlgorithmSpec, layout: Layout) -> TrainingJob:
    """The job that the three configuration files describe; raises ClientError before any data is read."""
    given = _read(layout.hyperparameters)
    if "sagemaker_program" in given:
        raise ClientError("Script mode (sagemaker_program) is not built in Clary yet; leave the entry point out.")
    resources = _read(layout.resource_config)
    return TrainingJob(
        layout=layout,
        hyperparameters=spec.hyperparameters.validate(given),
        channels=spec.channel_inputs(_read(layout.input_data_config), layout),
        host=resources["current_host"],
        hosts=tuple(resources["hosts"]),
    )


def _spec() -> AlgorithmSpec:
    name = os.environ.get(ALGORITHM_VARIABLE, "")
    try:
        return registry.spec(name)
    except KeyError:
        raise InternalError(f"{ALGORITHM_VARIABLE}={name!r} names no built-in algorithm") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise InternalError(f"{path.name} cannot be read: {problem}") from problem
    if not isinstance(content, dict):
        raise InternalError(f"{path.name} is not a JSON object")
    return content


def _fail(layout: Layout, problem: JobError) -> int:
    text = f"{problem.label}: {problem}"
    log.error(text)
    try:
        layout.failure.write_text(text, encoding="utf-8")
    except OSError as unwritable:
        log.error(f"the failure file cannot be written: {unwritable}")
    return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
