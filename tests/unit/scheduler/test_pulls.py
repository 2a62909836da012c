"""Images of repositories are had as the execution role, at the beginning and again at each launch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.errors import ServiceError
from clary.registry import repositories
from clary.registry.names import Place
from clary.store import records
from clary.testing.fake_images import FakeImages
from sagemaker_bench import ACCOUNT, IMAGE, REGION, ROLE, Bench

PLACE = Place(ACCOUNT, REGION, "team/app")
ARN = repositories.arn(PLACE)
ALL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
DENIED = (
    f"Access denied for repository: team/app in registry ID: {ACCOUNT}. Please check if your ECR repository and image "
    f"exist and role {ROLE} has proper pull permissions for SageMaker: "
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "home", images=FakeImages(repository=ARN), job_slots=1)
    yield made
    made.close()


def statement(effect: str, *actions: str, on: str = ARN) -> dict[str, Any]:
    return {"Effect": effect, "Action": [f"ecr:{each}" for each in actions], "Resource": on}


def may(bench: Bench, *statements: dict[str, Any]) -> None:
    """From now on the role may what these say of ECR, and nothing else."""
    token = statement("Allow", "GetAuthorizationToken", on="*")
    text = json.dumps({"Version": "2012-10-17", "Statement": [token, *statements]})

    def work(connection: Any) -> None:
        role = records.by_arn(connection, ROLE)
        assert role is not None
        kept = {**role.document, "AttachedPolicies": [], "InlinePolicies": {"own": text}}
        records.replace(connection, role, document=kept)

    bench.records.write(work)


def test_a_training_job_is_refused_in_awss_words(bench: Bench) -> None:
    bench.train("usual")  # as the role that every account has
    may(bench)
    with pytest.raises(ServiceError, match="Access denied") as refused:
        bench.train("job")
    needed = "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
    assert (refused.value.code, str(refused.value)) == ("ValidationException", DENIED + needed)
    for lacks in ALL:
        may(bench, statement("Allow", *(each for each in ALL if each != lacks)))
        with pytest.raises(ServiceError, match="Access denied"):
            bench.train("job")
    may(bench, statement("Allow", *ALL, on=f"{ARN}2"))
    with pytest.raises(ServiceError, match="Access denied"):
        bench.train("job")
    may(bench, statement("Allow", *ALL), statement("Deny", "GetAuthorizationToken", on="*"))
    with pytest.raises(ServiceError, match="for SageMaker: ecr:GetAuthorizationToken"):
        bench.train("job")
    may(bench, statement("Allow", *ALL))
    bench.train("job")


def test_a_role_that_is_not_there_is_told_so(bench: Bench) -> None:
    with pytest.raises(ServiceError, match="Could not assume role"):
        bench.train("job", RoleArn=f"{ROLE}2")


def test_the_repository_has_a_word(bench: Bench) -> None:
    def of_the_repository(**columns: Any) -> None:
        bench.platform.stores.objects.write(
            lambda connection: repositories.change(connection, found(connection), **columns)
        )

    def found(connection: Any) -> repositories.Repository:
        known = repositories.find(connection, PLACE)
        return known or repositories.add(connection, PLACE, 0.0, {}, False, {})

    by_tag = {"StringEquals": {"aws:ResourceTag/team": "red"}}
    may(bench, statement("Allow", *ALL), {**statement("Deny", *ALL), "Condition": by_tag})
    bench.train("before")
    of_the_repository(tags={"team": "red"})
    with pytest.raises(ServiceError, match="Access denied"):
        bench.train("tagged")
    denial = {"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "ecr:BatchGetImage"}
    of_the_repository(tags={}, policy=json.dumps({"Version": "2012-10-17", "Statement": [denial]}))
    with pytest.raises(ServiceError, match="Access denied"):
        bench.train("denied")
    of_the_repository(policy=None)
    bench.train("after")


def test_a_permission_that_ends_in_the_queue_ends_the_job(bench: Bench) -> None:
    bench.train("first"), bench.clock.advance(1), bench.train("second")
    bench.settle(3)
    assert bench.job("second")["SecondaryStatus"] == "Pending"
    may(bench)
    bench.compute.exit(*bench.compute.alive())
    bench.settle(3)
    assert bench.job("second")["FailureReason"].startswith(f"ClientError: {DENIED}")
    assert bench.compute.alive() == []


def test_an_endpoint_fails_in_awss_words(bench: Bench) -> None:
    may(bench)
    bench.model(), bench.config()
    bench.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    bench.settle(2)
    endpoint = bench.endpoint()
    reason = f"The role '{ROLE}' does not have BatchGetImage permission for the image: '{IMAGE}'."
    assert (endpoint["EndpointStatus"], endpoint["FailureReason"]) == ("Failed", reason)
    assert bench.compute.specs == []


def test_a_permission_that_ends_is_missed_by_the_next_instance(bench: Bench) -> None:
    bench.model(), bench.config()
    bench.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    bench.step()
    (first,) = bench.compute.alive()
    bench.compute.healthy(first)
    bench.step()
    may(bench)
    bench.compute.exit(first)
    bench.settle(3)
    endpoint = bench.endpoint()
    assert endpoint["EndpointStatus"] == "InService"
    assert "permission for the image" in endpoint["FailureReason"]
    may(bench, statement("Allow", *ALL))
    bench.clock.advance(61)
    bench.settle(3)
    assert len(bench.compute.alive()) == 1
