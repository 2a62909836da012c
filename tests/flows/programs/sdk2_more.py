"""More of the SageMaker Python SDK v2: the input's name of v1, training without logs, coming back to a job by its name,
and (with --all) a job that fails with its reason and a deployment that the SDK itself waits for."""

from __future__ import annotations

import argparse
import time

import boto3
import points
import sagemaker
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.session import s3_input


def train(session: sagemaker.Session, prefix: str) -> str:
    """The job's name."""
    bucket = session.default_bucket()
    session.upload_string_as_file_body(points.csv(points.table(500, seed=1)), bucket, f"{prefix}/train/points.csv")
    estimator = Estimator(
        image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        sagemaker.get_execution_role(session),
        instance_count=1,
        instance_type="ml.m5.large",
        output_path=f"s3://{bucket}/{prefix}/output",
        sagemaker_session=session,
        hyperparameters={"num_round": 5, "objective": "reg:squarederror"},
    )
    estimator.fit({"train": s3_input(f"s3://{bucket}/{prefix}/train", content_type="text/csv")}, logs=False)
    return str(estimator.latest_training_job.name)


def fail(again: Estimator) -> None:
    again.set_hyperparameters(num_round="many")
    channel = s3_input(
        again.latest_training_job.describe()["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    )
    try:
        again.fit({"train": channel}, logs="All")
    except UnexpectedStatusException as error:
        print("failed", error)


def deploy(session: sagemaker.Session, again: Estimator, name: str) -> None:
    predictor = again.deploy(initial_instance_count=1, instance_type="ml.m5.large", endpoint_name=name)
    answer = predictor.predict("0.2,0.3", {"ContentType": "text/csv"}).decode()
    print("\nendpoint", session.describe_endpoint(name)["EndpointStatus"], answer)
    predictor.delete_model()
    predictor.delete_endpoint()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    session = sagemaker.Session()
    prefix = f"sdk2-more-{time.time_ns()}"
    name = train(session, prefix)
    again = Estimator.attach(name, session)
    print("attached", again.latest_training_job.name == name, again.hyperparameters()["num_round"])
    print("described", again.latest_training_job.describe()["TrainingJobStatus"])
    if given.all:
        deploy(session, again, prefix)
        fail(again)
    boto3.resource("s3").Bucket(session.default_bucket()).objects.filter(Prefix=prefix).delete()


if __name__ == "__main__":
    main()
