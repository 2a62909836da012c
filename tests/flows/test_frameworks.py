"""Each framework: a script trained and served by the SDK's class for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from whole_server import Done

PROGRAM = Path(__file__).parent / "programs" / "frameworks.py"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # the first job may have to build it


NAMES = ["pytorch", "tensorflow", "tensorflow-2.15", "huggingface", "xgboost", "lightgbm", "catboost"]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_trained_and_served(run_client: Callable[..., Done], name: str) -> None:
    done = run_client("sdk2", "python", str(PROGRAM), name, timeout=1180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "metrics ['train:loss']" in done.stdout
    assert "accurate True" in done.stdout
    assert name != "tensorflow" or "handlers below above" in done.stdout
