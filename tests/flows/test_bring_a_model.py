"""A model that was trained elsewhere answers here as it did there: the example of the guide, and AWS's own notebook."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import jobs
from image_environment import scratch_environment
from whole_server import ROOT, Done, WholeServer

EXAMPLE = ROOT / "examples" / "bring_a_model"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # environments may have to be built


@pytest.mark.parametrize(
    ("library", "file", "environment"),
    [
        ("scikit-learn", "model.joblib", "scikit-learn"),
        ("xgboost", "xgboost-model", "xgboost-script"),
        ("pytorch", "model.pth", "pytorch"),
    ],
)
def test_a_model_answers_as_where_it_was_trained(
    run_client: Callable[..., Done], tmp_path: Path, library: str, file: str, environment: str
) -> None:
    python = scratch_environment(environment) / "bin" / "python"
    trained = subprocess.run([python, EXAMPLE / "train.py", library, tmp_path / file], capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    deployed = run_client("sdk2", "python", str(EXAMPLE / "deploy.py"), library, str(tmp_path / file), timeout=1000)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    answer = json.loads("[" + deployed.stdout.rpartition("[")[2])  # the SDK ends its row of dashes without a line's end
    assert answer == pytest.approx(json.loads(trained.stdout), abs=2e-4)
    assert answer[0] < 0.5 < answer[1]


NOTEBOOK = """
import sys
import numpy as np
import xgboost
rows = np.random.default_rng(1).random((600, 2)).astype("float32")
model = xgboost.XGBClassifier(n_estimators=20, max_depth=5).fit(rows, rows.sum(axis=1) > 1)
model.get_booster().save_model(sys.argv[1])
print(*model.predict_proba(np.array([[0.1, 0.2], [0.9, 0.7]]))[:, 1])
"""


def test_a_classifier_with_scikit_learn_s_interface_in_xgboost_s_own_image(server: WholeServer, tmp_path: Path) -> None:
    """The steps of `xgboost_bring_your_own_model`, by boto3; the model's file has the name that it has there."""
    name, python = "DEMO-local-xgboost-model", scratch_environment("xgboost-script") / "bin" / "python"
    trained = subprocess.run([python, "-c", NOTEBOOK, tmp_path / name], capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tmp_path / name, name)
    server.client("s3").create_bucket(Bucket="brought-by-boto3")
    server.client("s3").put_object(Bucket="brought-by-boto3", Key="model.tar.gz", Body=packed.getvalue())
    jobs.deploy(server, name, model="s3://brought-by-boto3/model.tar.gz")
    runtime = server.client("sagemaker-runtime")
    for form, body in (("text/csv", "0.1,0.2\n0.9,0.7"), ("text/x-libsvm", "0 0:0.1 1:0.2\n0 0:0.9 1:0.7")):
        answer = runtime.invoke_endpoint(EndpointName=name, ContentType=form, Body=body)["Body"].read().decode()
        scores = [float(each) for each in answer.replace(",", "\n").split()]
        assert scores == pytest.approx([float(each) for each in trained.stdout.split()], abs=1e-5)
