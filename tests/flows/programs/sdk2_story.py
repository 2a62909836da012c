"""The whole story with the SageMaker Python SDK v2: default bucket, training with its live log, endpoint, predictions,
everything deleted. Prints what a test checks."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import boto3
import points
import sagemaker
from deployed import deployed
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import CSVSerializer


def upload(session: sagemaker.Session, prefix: str) -> dict[str, str]:
    """Channel -> where its data is."""
    channels = {}
    with tempfile.TemporaryDirectory() as workplace:
        for seed, name in enumerate(("train", "validation")):
            file = Path(workplace) / f"{name}.csv"
            file.write_text(points.csv(points.table(1000, seed)))
            channels[name] = session.upload_data(str(file), key_prefix=f"{prefix}/{name}")
    return channels


def train(session: sagemaker.Session, prefix: str, channels: dict[str, str]) -> Estimator:
    estimator = Estimator(
        image_uri=image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        role=sagemaker.get_execution_role(),
        instance_count=1,
        instance_type="ml.m4.xlarge",
        output_path=f"s3://{session.default_bucket()}/{prefix}/output",
        sagemaker_session=session,
    )
    estimator.set_hyperparameters(num_round=10, objective="binary:logistic", max_depth=4)
    estimator.fit({name: TrainingInput(uri, content_type="csv") for name, uri in channels.items()}, logs="All")
    return estimator


def main() -> None:
    session = sagemaker.Session()
    prefix = f"sdk2-{time.time_ns()}"
    bucket = session.default_bucket()
    print("bucket", bucket)
    print("role", sagemaker.get_execution_role(session))
    channels = upload(session, prefix)
    estimator = train(session, prefix, channels)
    print("model", estimator.model_data.removeprefix(f"s3://{bucket}/{prefix}/"))
    predictor = deployed(estimator, endpoint_name=prefix, serializer=CSVSerializer())
    test = points.table(200, seed=3)
    answer = predictor.predict([row[1:] for row in test]).decode()
    print("accuracy", points.accuracy(test, [float(score) for score in answer.replace(",", "\n").split()]) > 0.95)
    predictor.delete_model()
    predictor.delete_endpoint(delete_endpoint_config=True)
    boto3.resource("s3").Bucket(bucket).objects.filter(Prefix=f"{prefix}/").delete()
    print("left", session.list_s3_files(bucket, prefix))


if __name__ == "__main__":
    main()
