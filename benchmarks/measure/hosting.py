"""Endpoints as benchmarks need them: a model's file made an endpoint of the built-in XGBoost."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from measure.servers import Clary
from measure.training import IMAGE, ROLE

BUCKET = "models"


def upload(server: Clary, model: Path) -> str:
    """Packs the file as a training job does; the S3 URI of the archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(model, "xgboost-model")
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=archive.getvalue())
    return f"s3://{BUCKET}/model.tar.gz"


def create_endpoint(server: Clary, name: str, model: str, variables: Mapping[str, str]) -> None:
    """An endpoint of one instance; `variables` are the container's environment. It answers some time later."""
    sagemaker = server.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": model, "Environment": dict(variables)}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant | {"InitialInstanceCount": 1}]
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
