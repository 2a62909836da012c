"""@remote functions of the SageMaker SDKs: what they answer and raise comes back from a job. The job needs the SDK,
which is large, so all of it is slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from whole_server import Done

PROGRAM = str(Path(__file__).parent / "programs" / "remote_function.py")


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize(
    ("sdk", "named"), [("sdk2", True), ("sdk2", False), ("sdk3", False)], ids=["image", "default", "default-3"]
)
def test_a_function_answers_and_raises_as_if_it_were_here(
    run_client: Callable[..., Done], tmp_path: Path, sdk: str, named: bool
) -> None:
    done = run_client(sdk, "python", PROGRAM, *([str(tmp_path)] if named else []), timeout=1280)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert {"answer {'quotient': 1.5}", "raised division by zero"} <= set(said)
    assert any("inside divide-" in line for line in said)
