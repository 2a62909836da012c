"""SDK v3's ModelTrainer with Torchrun: two processes of one instance add up their ranks.

sdk3_torchrun.py FOLDER: writes the code there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from sagemaker.train.distributed import Torchrun

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.5.1-cpu-py311-ubuntu22.04-sagemaker"
ADDS = """
import torch
import torch.distributed as distributed

distributed.init_process_group("gloo")
ranks = torch.ones(1) * (distributed.get_rank() + 1)
distributed.all_reduce(ranks)
print(f"rank {distributed.get_rank()} of {distributed.get_world_size()} has {ranks.item()}", flush=True)
distributed.destroy_process_group()
"""


def main() -> None:
    folder, session = Path(sys.argv[1]), Session()
    (folder / "adds.py").write_text(ADDS)
    trainer = ModelTrainer(
        training_image=IMAGE,
        sagemaker_session=session,
        role=get_execution_role(session),
        base_job_name="torchrun",
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        source_code=SourceCode(source_dir=str(folder), entry_script="adds.py"),
        distributed=Torchrun(process_count_per_node=2),
    )
    trainer.train(wait=True, logs=True)
    job = trainer._latest_training_job
    logs, group = session.boto_session.client("logs"), "/aws/sagemaker/TrainingJobs"
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, logStreamNamePrefix=f"{job.training_job_name}/"
    )
    for event in (each for page in pages for each in page["events"]):
        print(event["message"])
    print("job", job.training_job_status)


if __name__ == "__main__":
    main()
