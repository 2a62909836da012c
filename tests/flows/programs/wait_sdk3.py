"""One training job that its MaxRuntimeInSeconds ends, waited for by the SageMaker Python SDK v3. Says, as JSON in its
last line, the job's name and when `train` returned.

wait_sdk3.py DATA SECONDS [--quiet]: the S3 prefix of the training data; how long the job trains; without its logs.
"""

from __future__ import annotations

import argparse
import json
import time

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, StoppingCondition


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("seconds", type=int)
    parser.add_argument("--quiet", action="store_true")
    given = parser.parse_args()
    session = Session()
    trainer = ModelTrainer(
        training_image=image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        sagemaker_session=session,
        role=get_execution_role(session),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"num_round": 1_000_000, "max_depth": 8},
        output_data_config=OutputDataConfig(s3_output_path=f"{given.data}/output"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=given.seconds),
    )
    channel = InputData(channel_name="train", data_source=f"{given.data}/train", content_type="text/csv")
    trainer.train(input_data_config=[channel], wait=True, logs=not given.quiet)
    returned = time.time()
    print("\n" + json.dumps({"job": trainer._latest_training_job.training_job_name, "returned": returned}))


if __name__ == "__main__":
    main()
