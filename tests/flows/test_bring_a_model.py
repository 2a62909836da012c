"""The example of the guide: a model that was trained elsewhere answers here as it did there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from image_environment import scratch_environment
from whole_server import ROOT, Done

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
