"""A training job whose data and model are in another store."""

from __future__ import annotations

import io
import tarfile

import pytest

from flows import jobs
from other_stores import SAMPLED, keys_below, other_store, settings_of
from whole_server import whole_server


@pytest.mark.parametrize("name", SAMPLED)
def test_a_job_reads_and_writes_elsewhere(name: str) -> None:
    with other_store(name) as place, whole_server(**settings_of(place)) as server:
        job = jobs.start(server, rounds=200, rows=2000)
        before = len(keys_below(place))
        ended = jobs.ended(server, job)
        assert ended["TrainingJobStatus"] == "Completed", ended.get("FailureReason")
        assert len(keys_below(place)) == before + 1
        key = ended["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{job}/")
        model = server.client("s3").get_object(Bucket=job, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(model)) as archive:
            assert archive.getnames() == ["xgboost-model"]
        assert not list(server.settings.blobs.glob("??/*"))
