"""Trains and serves your own script with the SageMaker Python SDK v2, on the bank marketing data.

    clary run python story.py bank-additional.csv       (or .csv.gz)

The data: https://archive.ics.uci.edu/dataset/222/bank+marketing (columns separated by semicolons, the label is `y`).
"""

import gzip
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.sklearn import SKLearn

HERE = Path(__file__).parent


def main(source: Path) -> None:
    session = sagemaker.Session()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "bank.csv")
        table.write_bytes(gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes())
        data = session.upload_data(str(table), key_prefix="bank-marketing")

        estimator = SKLearn(
            entry_point="train.py",
            source_dir=str(HERE / "source"),
            framework_version="1.2-1",
            instance_type="ml.m5.large",
            role=sagemaker.get_execution_role(),
            hyperparameters={"max-iter": 200, "test-share": 0.2},
            metric_definitions=[{"Name": "test:accuracy", "Regex": "accuracy=([0-9.]+);"}],
        )
        estimator.fit({"train": data})

        job = estimator.latest_training_job.describe()
        print({each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]})
        output = estimator.model_data.replace("model.tar.gz", "output.tar.gz")
        sagemaker.s3.S3Downloader.download(output, folder, sagemaker_session=session)
        with tarfile.open(Path(folder, "output.tar.gz")) as archive:
            report, predicted = (archive.extractfile(name).read().decode() for name in ("report.txt", "new.csv"))
        print(report)
        _, *rows = predicted.splitlines()
        print(f"{len(rows)} rows in new.csv")

        predictor = estimator.deploy(initial_instance_count=1, instance_type="ml.m5.large")
        try:
            some = np.array([row.split(",") for row in rows[:200]], dtype=float)
            answers = predictor.predict(some[:, :-2])  # without the label and what the script predicted for the row
            print(f"{(answers == some[:, -1]).sum()} of {len(some)} answers are the script's own")
        finally:
            predictor.delete_model()
            predictor.delete_endpoint()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
