"""The census tutorial as a data scientist writes it, with the SageMaker Python SDK v2 as it comes from PyPI.

Nothing in here knows of Clary: run it with `clary run python examples/census/story.py`, or on AWS. Two things differ
from the tutorial, for speed only: `deploy` is asked not to wait, since the SDK sleeps 30 s before its first look, and a
boto3 waiter waits instead; and everything is deleted at the end, also after an error or Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import data
import evaluate
import numpy as np
import pandas as pd
import sagemaker
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

# The tutorial's; on the small set of breast cancers a tree has to be free to look at fewer rows.
HYPERPARAMETERS = {
    "max_depth": 5,
    "eta": 0.2,
    "gamma": 4,
    "min_child_weight": 6,
    "subsample": 0.7,
    "objective": "binary:logistic",
}
ROWS_PER_REQUEST = 500


@contextlib.contextmanager
def step(words: str) -> Iterator[None]:
    """Says what is being done, and how long it took."""
    print(f"\n==> {words}", flush=True)
    begin = time.monotonic()
    yield
    print(f"    done in {time.monotonic() - begin:.1f} s", flush=True)


def upload(session: sagemaker.Session, bucket: str, parts: dict[str, pd.DataFrame], workplace: Path) -> None:
    """train/, validation/ and test/ as CSV with the label first and no header; output/ is where the model goes."""
    for name, part in parts.items():
        file = workplace / f"{name}.csv"
        part.to_csv(file, index=False, header=False)
        uri = session.upload_data(str(file), bucket=bucket, key_prefix=name)
        print(f"    {uri}  ({len(part):,} rows)")


def train(session: sagemaker.Session, role: str, bucket: str, chosen: dict[str, float]) -> Estimator:
    image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.2-1")
    estimator = Estimator(
        image_uri=image,
        role=role,
        instance_count=1,
        instance_type="ml.m4.xlarge",
        volume_size=5,
        output_path=f"s3://{bucket}/output",
        sagemaker_session=session,
    )
    estimator.set_hyperparameters(**{**HYPERPARAMETERS, **chosen})
    channels = ("train", "validation")
    estimator.fit({name: TrainingInput(f"s3://{bucket}/{name}/", content_type="csv") for name in channels})
    return estimator


def deploy(estimator: Estimator, name: str) -> Predictor:
    predictor = estimator.deploy(
        initial_instance_count=1,
        instance_type="ml.m4.xlarge",
        endpoint_name=name,
        serializer=CSVSerializer(),
        wait=False,
    )
    client = boto3.client("sagemaker")
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    return predictor


def predict(predictor: Predictor, rows: np.ndarray) -> np.ndarray:
    """Scores, asked for in requests of a few hundred rows each."""
    scores: list[str] = []
    for part in np.array_split(rows, len(rows) // ROWS_PER_REQUEST + 1):
        scores += predictor.predict(part).decode().replace(",", " ").split()  # comma or newline, by the image's version
    return np.array(scores, dtype=float)


def empty_and_delete(bucket: str) -> None:
    found = boto3.resource("s3").Bucket(bucket)
    found.objects.all().delete()
    found.delete()


def judge(story: str, truth: np.ndarray, scores: np.ndarray, classes: list[str], output: Path) -> None:
    with step("Evaluate: confusion matrix, accuracy, precision"):
        evaluate.report(truth, scores, classes)
        cutoff, loss, losses = evaluate.best_cutoff(truth, scores)
        picture = output / "log-loss-against-cutoff.png"
        evaluate.plot(cutoff, loss, losses, story, picture)
        print(f"    least log loss {loss:.2f} at cutoff {cutoff:.2f}")
        print(f"    plot: {picture}")


def tell(story: str, table: pd.DataFrame, classes: list[str], chosen: dict[str, float], output: Path) -> None:
    """The whole story. Whatever was made is deleted at its end, in reverse order, however it ends."""
    name = f"clary-demo-{uuid.uuid4().hex[:8]}"
    session = sagemaker.Session()
    parts = data.split(table)
    with contextlib.ExitStack() as undo:
        with step(f"Make the bucket {name} and upload {story}: label first, no header"):
            boto3.client("s3").create_bucket(Bucket=name)
            undo.callback(empty_and_delete, name)
            upload(session, name, parts, output)
        with step(f"Train SageMaker's XGBoost for {chosen['num_round']} rounds, with its live log"):
            estimator = train(session, sagemaker.get_execution_role(session), name, chosen)
        with step("Deploy to an endpoint (wait=False and boto3's waiter: the SDK's own wait sleeps 30 s first)"):
            predictor = deploy(estimator, name)
            undo.callback(predictor.delete_endpoint, delete_endpoint_config=True)
            undo.callback(predictor.delete_model)
        with step(f"Predict the {len(parts['test']):,} test rows"):
            scores = predict(predictor, data.features(parts["test"]))
        judge(story, data.labels(parts["test"]), scores, classes, output)
        print("\n==> Delete the model, the endpoint with its configuration, the bucket with its objects", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder with adult.data or adult.data.gz (default: breast cancer)")
    parser.add_argument("--rounds", type=int, help="boosting rounds (default: 1000 for the census, 100 otherwise)")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="where files and the plot go")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    table, story, classes = data.census(given.data) if given.data else data.breast_cancer()
    chosen: dict[str, float] = {"num_round": given.rounds or (1000 if given.data else 100)}
    if not given.data:
        chosen |= {"min_child_weight": 1, "gamma": 0}
    begin = time.monotonic()
    try:
        tell(story, table, classes, chosen, given.output)
    except KeyboardInterrupt:
        raise SystemExit("\nInterrupted; everything that the story had made was deleted.") from None
    print(f"\nThe whole story took {time.monotonic() - begin:.0f} s.")


if __name__ == "__main__":
    main()
