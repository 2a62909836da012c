"""Scripts spread over two hosts, by the `distribution` of the SDK v2's classes.

sdk2_distribution.py NAME        the script is scripts/NAME/train.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import sagemaker
from sagemaker.pytorch import PyTorch
from sagemaker.tensorflow import TensorFlow

HERE = Path(__file__).parent
# The SDK lets torch_distributed begin on types with a GPU only; here none is seen, and none is needed.
TORCH = {"framework_version": "2.6.0", "py_version": "py312", "instance_type": "ml.g4dn.xlarge"}
CPU = TORCH | {"instance_type": "ml.m5.large"}
NEW = {"framework_version": "2.19.0", "py_version": "py312", "instance_type": "ml.m5.large"}
OLD = {"framework_version": "2.14.1", "py_version": "py310", "instance_type": "ml.m5.large"}
KINDS: dict[str, tuple[type, dict[str, Any], dict[str, Any]]] = {
    "torchrun": (PyTorch, TORCH, {"torch_distributed": {"enabled": True}}),
    "workers": (TensorFlow, NEW, {"multi_worker_mirrored_strategy": {"enabled": True}}),
    "mpi": (PyTorch, CPU, {"mpi": {"enabled": True, "processes_per_host": 2, "custom_mpi_options": "-x GIVEN=option"}}),
    "parameter-servers": (TensorFlow, OLD, {"parameter_server": {"enabled": True}}),
}


def main(name: str) -> None:
    kind, version, distribution = KINDS[name]
    session = sagemaker.Session()
    estimator = kind(
        entry_point="train.py",
        source_dir=str(HERE / "scripts" / name),
        role=sagemaker.get_execution_role(),
        instance_count=2,
        distribution=distribution,
        **version,
    )
    estimator.fit(wait=False)
    job = estimator.latest_training_job.name
    done = session.wait_for_job(job, poll=1)
    logs = session.boto_session.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job}/"
    )
    for event in (each for page in pages for each in page["events"]):
        print(event["logStreamName"].rpartition("/")[2][:6], event["message"])
    print("job", done["TrainingJobStatus"])


main(sys.argv[1])
