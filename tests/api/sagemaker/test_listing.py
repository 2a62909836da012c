"""Paging, order, filters, tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.services.sagemaker.endpoint.declaration import ENDPOINT
from clary.services.sagemaker.endpoint_config import ENDPOINT_CONFIG
from clary.services.sagemaker.model import MODEL
from clary.services.sagemaker.training_job.declaration import TRAINING_JOB
from clary.wire.models import Models
from sagemaker_bench import Bench, model, training_job

Aws = Callable[[str], Any]


def names(pages: Any, member: str, name: str) -> list[str]:
    return [each[name] for page in pages for each in page[member]]


def test_training_jobs_oldest_first_and_models_newest_first(aws: Aws, bench: Bench) -> None:
    client = aws("sagemaker")
    for n in range(12):
        client.create_training_job(**training_job(f"job-{n:02}"))
        client.create_model(**model(f"model-{n:02}"))
        bench.clock.advance(1)
    first = client.list_training_jobs()
    assert len(first["TrainingJobSummaries"]) == 10
    jobs = names(client.get_paginator("list_training_jobs").paginate(), "TrainingJobSummaries", "TrainingJobName")
    assert jobs == [f"job-{n:02}" for n in range(12)]
    models = names(client.get_paginator("list_models").paginate(MaxResults=5), "Models", "ModelName")
    assert models == [f"model-{n:02}" for n in reversed(range(12))]
    last = client.list_training_jobs(NextToken=first["NextToken"])
    assert len(last["TrainingJobSummaries"]) == 2 and "NextToken" not in last
    exact = client.list_models(MaxResults=12)
    assert len(exact["Models"]) == 12 and "NextToken" not in exact


def test_each_item_once_whatever_comes_and_goes(aws: Aws, bench: Bench) -> None:
    client = aws("sagemaker")
    for n in range(6):  # all in the same instant: ties break by ARN
        client.create_model(**model(f"m-{n}"))
    page = client.list_models(MaxResults=2)
    seen = [each["ModelName"] for each in page["Models"]]
    client.delete_model(ModelName=seen[-1])
    bench.clock.advance(1)
    client.create_model(**model("newest"))
    while "NextToken" in page:
        page = client.list_models(MaxResults=2, NextToken=page["NextToken"])
        seen += [each["ModelName"] for each in page["Models"]]
    assert sorted(seen) == [f"m-{n}" for n in range(6)]


def test_filters_and_orders(aws: Aws, bench: Bench) -> None:
    client = aws("sagemaker")
    for n, name in enumerate(("beta", "alpha-x", "gamma-x")):
        client.create_training_job(**training_job(name))
        bench.clock.advance(10)
        if n == 0:
            middle = bench.clock.now()
    client.stop_training_job(TrainingJobName="beta")

    def listed(**given: Any) -> list[str]:
        return [each["TrainingJobName"] for each in client.list_training_jobs(**given)["TrainingJobSummaries"]]

    assert listed(NameContains="-x") == ["alpha-x", "gamma-x"]
    assert listed(SortBy="Name") == ["alpha-x", "beta", "gamma-x"]
    assert listed(SortOrder="Descending") == ["gamma-x", "alpha-x", "beta"]
    assert listed(StatusEquals="Stopped") == ["beta"]
    assert listed(CreationTimeBefore=middle) == ["beta"]
    assert listed(CreationTimeAfter=middle - 1) == ["alpha-x", "gamma-x"]
    assert listed(LastModifiedTimeAfter=middle + 15) == ["beta"]
    assert listed(SortBy="Status") == ["alpha-x", "gamma-x", "beta"]
    assert listed(WarmPoolStatusEquals="InUse") == []


def test_tokens_are_bound_to_their_listing(aws: Aws) -> None:
    client = aws("sagemaker")
    for n in range(3):
        client.create_training_job(**training_job(f"job-{n}"))
        client.create_model(**model(f"m-{n}"))
    token = client.list_training_jobs(MaxResults=1)["NextToken"]
    client.list_training_jobs(MaxResults=2, NextToken=token)
    for operation, given in (
        (client.list_models, {"NextToken": token}),
        (client.list_training_jobs, {"NextToken": token, "NameContains": "job"}),
        (client.list_training_jobs, {"NextToken": token[:-6] + "AAAAA="}),
        (client.list_training_jobs, {"NextToken": "nonsense"}),
        (client.list_training_jobs, {"NextToken": "é"}),
    ):
        with pytest.raises(ClientError) as refused:
            operation(**given)
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_other_accounts_and_regions_are_out_of_sight(aws: Aws, bench: Bench) -> None:
    aws("sagemaker").create_model(**model("mine"))
    assert bench.call("ListModels", account="999999999999") == {"Models": []}
    assert bench.call("ListModels", region="eu-west-1") == {"Models": []}


def test_every_time_in_a_summary_is_named_so() -> None:
    """By that a time is told from a number where a summary is written."""
    model = Models().service("sagemaker")
    for resource in (TRAINING_JOB, MODEL, ENDPOINT_CONFIG, ENDPOINT):
        shape = model.operation_model(f"List{resource.plural}").output_shape.members[resource.listing].member
        for member in resource.summary:
            assert (shape.members[member].type_name == "timestamp") == member.endswith("Time"), member
