"""How long an endpoint takes from CreateEndpoint to its first answer, with a fork server that runs and without one.

python benchmarks/endpoints.py [--rounds N] [--keep]
"""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from jobs import SETTINGS, table
from measure import processes
from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import Clary, clary
from measure.training import IMAGE, ROLE, ended, image_python, train

ABOUT = """From the answer to CreateEndpoint to the first 200 of InvokeEndpoint, tried every 10 ms. *Warm*:
the fork server of the image runs, as after any job or endpoint; *cold*: it was ended before, so the libraries are
loaded anew. The model is of 100 trees. The floor is a cold Python with the image's libraries that loads the model and
predicts one row."""
WHERE = """Warm: 20 ms for the member, the launch and their commits, 7 ms to fork the agent, 50 ms for the sandbox
beside the download of the model, 20 ms to load it, up to 5 ms until a ping finds it, 10 ms until the endpoint is
InService and a client's next try meets it. Cold: the libraries, loaded while the model is downloaded."""
ROW = "50,20,30,10,0,0,0,0,0,0,0,0"
PREDICT = """import sys, numpy, xgboost
booster = xgboost.Booster(model_file=sys.argv[1])
print(booster.inplace_predict(numpy.array([[float(each) for each in sys.argv[2].split(",")]])))"""


class Endpoints:
    """Endpoints of one server, one after the other, all of the same model."""

    def __init__(self, server: Clary) -> None:
        self._server = server
        self._sagemaker, self._s3 = server.client("sagemaker"), server.client("s3")
        self._runtime = server.client("sagemaker-runtime")
        self._s3.create_bucket(Bucket="census")
        self._s3.put_object(Bucket="census", Key="train/census.csv", Body=table())
        name = train(self._sagemaker, "s3://census/train/", "s3://census/output", SETTINGS)[0]
        model = ended(self._sagemaker, name)["ModelArtifacts"]["S3ModelArtifacts"]
        container = {"Image": IMAGE, "ModelDataUrl": model}
        self._sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        self._sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
        self.archive = model.removeprefix("s3://census/")

    def warm(self) -> dict[str, float]:
        name = f"e-{uuid.uuid4().hex[:12]}"
        self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="c")
        begin = time.monotonic()
        self._answered(name)
        taken = time.monotonic() - begin
        self._delete(name)
        return {"first answer s": taken}

    def cold(self) -> dict[str, float]:
        for name, pid in processes.of_home(self._server.home).items():
            if name.startswith("fork-"):
                handle = os.pidfd_open(pid)
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                select.select([handle], [], [], 10)
                os.close(handle)
        return self.warm()

    def floor(self, folder: Path) -> Callable[[], dict[str, float]]:
        """The same prediction by a cold Python."""
        packed = self._s3.get_object(Bucket="census", Key=self.archive)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extract("xgboost-model", folder, filter="data")
        model = (folder / "xgboost-model").rename(folder / "model.ubj")
        command = [image_python(self._server), "-c", PREDICT, model, ROW]

        def run() -> dict[str, float]:
            begin = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return {"first answer s": time.monotonic() - begin}

        return run

    def _answered(self, name: str, patience: float = 60.0) -> None:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                answer = self._runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=ROW)
            except self._runtime.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != "ValidationError":  # it is not in service yet
                    raise
                time.sleep(0.01)
                continue
            if not 0 <= float(answer["Body"].read()) <= 1:
                raise RuntimeError(f"{name} answers no probability")
            return
        raise TimeoutError(f"{name} does not answer after {patience:.0f} s")

    def _delete(self, name: str) -> None:
        self._sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
        self._sagemaker.delete_endpoint(EndpointName=name)
        self._sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def main() -> None:
    options = arguments(ABOUT, rounds=11)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with clary() as server, tempfile.TemporaryDirectory(prefix="clary-bench-") as folder:
        endpoints = Endpoints(server)
        floor = endpoints.floor(Path(folder))
        contenders = {"Clary, warm": endpoints.warm, "Clary, cold": endpoints.cold, "floor: a cold Python": floor}
        figures = take_turns(contenders, options.rounds)
    report = Report("endpoints", "An endpoint's start", ABOUT, options.rounds, figures, where=WHERE)
    first = {name: each["first answer s"].median for name, each in figures.items()}
    report.bars = [
        Bar("endpoint answered to first 200, warm", first["Clary, warm"], 0.3, "s"),
        Bar("endpoint answered to first 200, cold", first["Clary, cold"], 1.0, "s"),
    ]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
