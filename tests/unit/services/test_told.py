"""What Describe answers from a stored text is what it would answer from the document."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.algorithms import registry
from clary.services import resources
from clary.services.sagemaker.training_job import metrics
from clary.services.sagemaker.training_job.declaration import TRAINING_JOB
from clary.store import records
from clary.testing.fake_compute import FakeCompute
from clary.wire.body_json import JsonCodec, Written
from clary.wire.models import Models
from sagemaker_bench import ARN, Bench

SHAPE = Models().service("sagemaker").operation_model("DescribeTrainingJob").output_shape
HOSTILE = {
    "MetricDefinitions": '"MetricDefinitions":{"Algorithm":"xgboost"}',
    "x": '"MetricDefinitions": {"Algorithm": "xgboost"}\\',
    "AlgorithmSpecification": '{"MetricDefinitions":{"Algorithm":"xgboost"}}',
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, compute=FakeCompute())
    yield made
    made.close()


def same(bench: Bench, name: str) -> dict[str, Any]:
    """The answer, once it was compared."""
    told = bench.job(name)
    record = _record(bench, name)
    assert record is not None and SHAPE is not None
    expected = json.loads(json.dumps(JsonCodec().writer(SHAPE)(resources.present(TRAINING_JOB, record))))
    answer = json.loads(told.text) if isinstance(told, Written) else JsonCodec().writer(SHAPE)(told)
    assert answer == expected
    if isinstance(told, Written):
        names = [name for name, _ in json.loads(told.text, object_pairs_hook=list)]
        assert len(set(names)) == len(names)
    return {"text": isinstance(told, Written), **expected}


def _record(bench: Bench, name: str) -> records.Record | None:
    return bench.record(f"{ARN}:training-job/{name}")


def test_at_every_step_of_a_job(bench: Bench) -> None:
    hostile = {"HyperParameters": HOSTILE, "Environment": HOSTILE}
    bench.train("job", **hostile, SessionChainingConfig={"EnableSessionTagChaining": False})
    seen = [same(bench, "job")]
    for moment in ("Downloading", "Training", "Uploading"):
        bench.clock.advance(1.23456)
        bench.settle(2)
        bench.compute.phase(next(iter(bench.compute.alive())), moment)
        bench.settle(2)
        seen.append(same(bench, "job"))
    values = {"validation:auc": (0.5, 1700000000.12345), "train:auc": (math.nan, 1.0), "train:mae": (math.inf, 2.0)}
    bench.compute.exit(next(iter(bench.compute.alive())), model="s3://b/model.tar.gz", metrics=values)
    bench.settle()
    seen.append(same(bench, "job"))
    assert [each["text"] for each in seen] == [True, False, False, False, True]
    assert seen[-1]["TrainingJobStatus"] == "Completed"
    assert len(seen[-1]["AlgorithmSpecification"]["MetricDefinitions"]) == len(registry.spec("xgboost").metrics)
    assert seen[-1]["HyperParameters"] == HOSTILE and "SessionChainingConfig" not in seen[-1]


def test_nothing_of_the_service_s_own_is_told(bench: Bench) -> None:
    """A running job's document holds its agent's token."""
    bench.train("job", Environment={"_mine": "x"})
    bench.settle(2)
    record = _record(bench, "job")
    assert record is not None and "_run" in record.document
    told = same(bench, "job")
    assert not told["text"] and "Token" not in json.dumps(told) and told["Environment"] == {"_mine": "x"}


def test_a_document_of_an_earlier_release_has_its_own_definitions(bench: Bench) -> None:
    bench.train("job")
    record = _record(bench, "job")
    assert record is not None
    own = [{"Name": "train:rmse", "Regex": '"MetricDefinitions":{"Algorithm":"xgboost"}'}]
    old = {**record.document, "AlgorithmSpecification": {**record.document["AlgorithmSpecification"]}}
    old["AlgorithmSpecification"]["MetricDefinitions"] = own
    bench.records.write(lambda connection: records.replace(connection, record, document=old))
    assert same(bench, "job")["AlgorithmSpecification"]["MetricDefinitions"] == own
    assert metrics.of(old) == own
