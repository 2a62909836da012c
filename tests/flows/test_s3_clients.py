"""S3 with the clients that are not AWS's, pointed here in each way."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.ways import WAYS, pointed
from whole_server import Done, WholeServer

PROGRAMS = Path(__file__).parent / "programs"
NAMES = ["s3fs", "obstore", "pyarrow", "pandas", "s5cmd"]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_objects_come_and_go(
    server: WholeServer, run_client: Callable[..., Done], tmp_path: Path, name: str, way: str
) -> None:
    bucket = f"{name}-{uuid.uuid4().hex[:12]}"
    options, words = pointed(server, way)
    if name == "obstore":
        server.client("s3").create_bucket(Bucket=bucket)
    done = run_client("s3clients", *words, *program(name, bucket, tmp_path), options=options, AWS_ALLOW_HTTP="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "done"
    if name == "obstore":
        server.client("s3").delete_bucket(Bucket=bucket)


def program(name: str, bucket: str, place: Path) -> list[str]:
    if name == "s5cmd":
        return ["sh", str(PROGRAMS / "s3_s5cmd.sh"), bucket, str(place)]
    return ["python", str(PROGRAMS / f"s3_{name}.py"), bucket]
