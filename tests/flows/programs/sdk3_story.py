"""The story with the SageMaker Python SDK v3: ModelTrainer, then an endpoint by ModelBuilder; what is left is deleted.

sdk3_story.py [--boto3]: with it the endpoint is made with boto3 from the trained model.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import boto3
import points
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, StoppingCondition


def train(session: Session, prefix: str, image: str) -> ModelTrainer:
    bucket = session.default_bucket()
    channels = []
    for seed, name in enumerate(("train", "validation")):
        where = session.upload_string_as_file_body(
            points.csv(points.table(1000, seed)), bucket, f"{prefix}/{name}/points.csv"
        )
        channels.append(InputData(channel_name=name, data_source=where, content_type="text/csv"))
    trainer = ModelTrainer(
        training_image=image,
        sagemaker_session=session,
        role=get_execution_role(session),
        base_job_name=prefix,
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"num_round": 10, "objective": "binary:logistic"},
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/{prefix}/output"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
    )
    trainer.train(input_data_config=channels, wait=True, logs=True)
    return trainer


def by_model_builder(session: Session, trainer: ModelTrainer, name: str, image: str) -> None:
    builder = ModelBuilder(
        image_uri=image,
        s3_model_data_url=trainer._latest_training_job.model_artifacts.s3_model_artifacts,
        role_arn=get_execution_role(session),
        sagemaker_session=session,
        instance_type="ml.m5.large",
        content_type="text/csv",
        accept_type="text/csv",
    )
    builder.build(model_name=name)
    builder.deploy(endpoint_name=name, instance_type="ml.m5.large", initial_instance_count=1, wait=False)
    Endpoint.get(endpoint_name=name).wait_for_status("InService", timeout=120)


def by_boto3(session: Session, trainer: ModelTrainer, name: str, image: str) -> None:
    client = boto3.client("sagemaker")
    model = trainer._latest_training_job.model_artifacts.s3_model_artifacts
    role = get_execution_role(session)
    client.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": image, "ModelDataUrl": model})
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def predict(name: str) -> None:
    test = points.table(200, seed=3)
    answer: Any = Endpoint.get(endpoint_name=name).invoke(
        body=points.csv(test, label=False), content_type="text/csv", accept="text/csv"
    )
    text = answer.body.read().decode()
    print("accuracy", points.accuracy(test, [float(score) for score in text.replace(",", "\n").split()]) > 0.95)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--boto3", action="store_true")
    given = parser.parse_args()
    session = Session()
    print("bucket", session.default_bucket())
    print("role", get_execution_role(session))
    prefix = f"sdk3-{time.time_ns()}"
    image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
    trainer = train(session, prefix, image)
    print("job", trainer._latest_training_job.training_job_status)
    (by_boto3 if given.boto3 else by_model_builder)(session, trainer, prefix, image)
    predict(prefix)
    endpoint = Endpoint.get(endpoint_name=prefix)
    config = endpoint.endpoint_config_name
    endpoint.delete()
    EndpointConfig.get(endpoint_config_name=config).delete()
    Model.get(model_name=prefix).delete()
    endpoint.wait_for_delete(timeout=60)
    boto3.resource("s3").Bucket(session.default_bucket()).objects.filter(Prefix=prefix).delete()
    print("deleted")


if __name__ == "__main__":
    main()
