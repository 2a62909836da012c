"""Endpoints as benchmarks need them: a model's file made an endpoint of the built-in XGBoost."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

from measure.servers import Clary
from measure.training import IMAGE, ROLE

BUCKET = "models"
_LOGGED = 60.0  # seconds that a line is waited for


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


def logged(server: Clary, name: str, text: str) -> None:
    """Until the endpoint's log has a line with the text. Raises TimeoutError."""
    logs, deadline = server.client("logs"), time.monotonic() + _LOGGED
    asked = {"logGroupName": f"/aws/sagemaker/Endpoints/{name}", "filterPattern": f'"{text}"'}
    while time.monotonic() < deadline:
        try:
            if logs.filter_log_events(**asked)["events"]:
                return
        except logs.exceptions.ResourceNotFoundException:  # not a line yet
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{text!r} is not in the log of {name} after {_LOGGED:.0f} s")
