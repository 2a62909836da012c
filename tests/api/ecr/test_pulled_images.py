"""Images of repositories in jobs and models: SageMaker has them as the execution role."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from api.access.people import allow, refusal, role, unique
from api.ecr.registry import Registry
from clary.sandbox import engine
from clary.sandbox.engine import EngineError, NoEngine
from flows import jobs
from whole_server import WholeServer, wait_until

ACCOUNT = "123456789012"
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
TOKEN = allow("ecr:GetAuthorizationToken")


@pytest.fixture(scope="module", autouse=True)
def _engine() -> None:
    """Without one, an image of a repository means nothing to a job."""
    try:
        engine.find().ask("info")
    except (NoEngine, EngineError) as error:
        pytest.skip(f"no container engine works here: {error}")


@pytest.fixture
def image(registry: Registry, repository: str) -> str:
    """One that no engine can unpack: whatever is had of it is told by how its job fails."""
    registry.push(repository, "1", b"no archive")
    return f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{repository}:1"


def job(image: str, arn: str) -> dict[str, Any]:
    return {
        "TrainingJobName": unique("pulled"),
        "RoleArn": arn,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://somewhere/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def test_a_job_has_what_its_role_may_have(server: WholeServer, image: str, repository: str) -> None:
    sagemaker = server.client("sagemaker")
    on = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repository}"
    arn = role(server, TOKEN, allow(*PULL, on=f"{on}-other"))
    code, status, words = refusal(sagemaker.create_training_job, **job(image, arn))
    assert (code, status) == ("ValidationException", 400)
    assert words == (
        f"Access denied for repository: {repository} in registry ID: {ACCOUNT}. Please check if your ECR repository "
        f"and image exist and role {arn} has proper pull permissions for SageMaker: {', '.join(PULL)}"
    )
    given = job(image, role(server, TOKEN, allow(*PULL, on=on)))
    assert "could not be given to the engine" in failure(server, given)


def failure(server: WholeServer, given: dict[str, Any]) -> str:
    """Why the job fails."""
    sagemaker = server.client("sagemaker")
    sagemaker.create_training_job(**given)
    name = {"TrainingJobName": given["TrainingJobName"]}
    wait_until(lambda: sagemaker.describe_training_job(**name)["TrainingJobStatus"] == "Failed", 60)
    reason: str = sagemaker.describe_training_job(**name)["FailureReason"]
    return reason


def test_an_image_that_unpacks_to_more_than_the_disk_has_is_not_given_to_the_engine(
    server: WholeServer, registry: Registry, repository: str
) -> None:
    """A layer of a few hundred kilobytes, named again and again."""
    layer = registry.push_layer(repository, gzip.compress(bytes(256 * 1024**2), 1))
    registry.push(repository, "1", layers=[layer] * 9_999)
    image = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/{repository}:1"
    reason = failure(server, job(image, jobs.ROLE))
    assert reason.startswith(f"ClientError: The image of {repository} unpacks to more than "), reason


def test_an_endpoint_has_what_its_models_role_may_have(server: WholeServer, image: str) -> None:
    sagemaker, name = server.client("sagemaker"), unique("pulled")
    arn = role(server, TOKEN)
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=arn, PrimaryContainer={"Image": image})
    variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Failed", 60)
    reason = sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    assert reason == f"The role '{arn}' does not have BatchGetImage permission for the image: '{image}'."
    sagemaker.delete_endpoint(EndpointName=name)
