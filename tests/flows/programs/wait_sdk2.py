"""One training job that its MaxRuntimeInSeconds ends, waited for by the SageMaker Python SDK v2. Says, as JSON in its
last line, the job's name and when `fit` returned.

wait_sdk2.py DATA SECONDS [--quiet]: the S3 prefix of the training data; how long the job trains; without its logs.
"""

from __future__ import annotations

import argparse
import json
import time

import sagemaker
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("seconds", type=int)
    parser.add_argument("--quiet", action="store_true")
    given = parser.parse_args()
    session = sagemaker.Session()
    estimator = Estimator(
        image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        sagemaker.get_execution_role(session),
        instance_count=1,
        instance_type="ml.m5.large",
        output_path=f"{given.data}/output",
        sagemaker_session=session,
        max_run=given.seconds,
        hyperparameters={"num_round": 1_000_000, "max_depth": 8},
    )
    estimator.fit({"train": TrainingInput(f"{given.data}/train", content_type="text/csv")}, logs=not given.quiet)
    print(json.dumps({"job": estimator.latest_training_job.name, "returned": time.time()}))


if __name__ == "__main__":
    main()
