"""Repositories by boto3: made, described, set, tagged, deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from api.access.people import refusal
from api.ecr.registry import OCI_IMAGE, Registry, digest
from whole_server import WholeServer

ACCOUNT = "123456789012"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "All", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "ecr:*"}
        ],
    }
)


def test_what_a_new_repository_is(ecr: Any, server: WholeServer) -> None:
    made = ecr.create_repository(repositoryName="a-new/one", tags=[{"Key": "team", "Value": "vision"}])["repository"]
    assert made["repositoryArn"] == f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/a-new/one"
    assert made["repositoryUri"] == f"127.0.0.1:{server.port}/a-new/one"
    assert (made["registryId"], made["imageTagMutability"]) == (ACCOUNT, "MUTABLE")
    assert made["imageScanningConfiguration"] == {"scanOnPush": False}
    assert ecr.describe_repositories(repositoryNames=["a-new/one"])["repositories"] == [made]
    tags = ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    assert tags == [{"Key": "team", "Value": "vision"}]
    assert refusal(ecr.create_repository, repositoryName="a-new/one") == (
        "RepositoryAlreadyExistsException",
        400,
        f"The repository with name 'a-new/one' already exists in the registry with id '{ACCOUNT}'",
    )
    assert ecr.delete_repository(repositoryName="a-new/one")["repository"] == made
    code, status, message = refusal(ecr.describe_repositories, repositoryNames=["a-new/one"])
    assert (code, status) == ("RepositoryNotFoundException", 400)
    assert message == f"The repository with name 'a-new/one' does not exist in the registry with id '{ACCOUNT}'"


def test_repositories_in_pages(ecr: Any, repository: str) -> None:
    for number in range(3):
        ecr.create_repository(repositoryName=f"{repository}/{number}")
    pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
    names = [each["repositoryName"] for page in pages for each in page["repositories"]]
    assert names == sorted(names)
    assert [name for name in names if name.startswith(f"{repository}/")] == [f"{repository}/{n}" for n in range(3)]
    assert refusal(ecr.describe_repositories, nextToken="forged")[0] == "InvalidParameterException"
    for number in range(3):
        ecr.delete_repository(repositoryName=f"{repository}/{number}")


def test_a_repository_with_images_is_deleted_by_force_alone(ecr: Any, registry: Registry, repository: str) -> None:
    registry.push(repository, "v1", b"layer")
    assert refusal(ecr.delete_repository, repositoryName=repository)[0] == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository)
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_tags_of_a_repository(ecr: Any, repository: str) -> None:
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repository}"
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "b", "Value": "3"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["a", "not there"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "b", "Value": "3"}]
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert refusal(ecr.tag_resource, resourceArn=arn, tags=many)[0] == "TooManyTagsException"
    reserved = [{"Key": "aws:a", "Value": ""}]
    assert refusal(ecr.tag_resource, resourceArn=arn, tags=reserved)[0] == "InvalidTagParameterException"
    assert refusal(ecr.list_tags_for_resource, resourceArn=f"{arn}-x")[0] == "RepositoryNotFoundException"
    assert refusal(ecr.list_tags_for_resource, resourceArn="nothing")[0] == "InvalidParameterException"


def test_a_policy_of_a_repository(ecr: Any, repository: str) -> None:
    assert refusal(ecr.get_repository_policy, repositoryName=repository)[0] == "RepositoryPolicyNotFoundException"
    assert ecr.set_repository_policy(repositoryName=repository, policyText=POLICY)["policyText"] == POLICY
    assert ecr.get_repository_policy(repositoryName=repository)["policyText"] == POLICY
    assert ecr.delete_repository_policy(repositoryName=repository)["policyText"] == POLICY
    assert refusal(ecr.delete_repository_policy, repositoryName=repository)[0] == "RepositoryPolicyNotFoundException"


@pytest.mark.parametrize("change", [{"Action": "s3:*"}, {"Resource": "*"}, {"Principal": None}, {"Effect": "Perhaps"}])
def test_what_is_no_policy_of_a_repository(ecr: Any, repository: str, change: dict[str, Any]) -> None:
    statement = {**json.loads(POLICY)["Statement"][0], **change}
    text = json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in statement.items() if v is not None}]})
    code, _, message = refusal(ecr.set_repository_policy, repositoryName=repository, policyText=text)
    assert code == "InvalidParameterException"
    assert message.endswith("'Invalid repository policy provided'")


def test_a_policy_that_names_nobody(ecr: Any, repository: str) -> None:
    text = POLICY.replace(f"{ACCOUNT}:root", f"{ACCOUNT}:user/nobody-at-all")
    assert "does not exist" in refusal(ecr.set_repository_policy, repositoryName=repository, policyText=text)[2]


def test_a_policy_that_locks_its_author_out(ecr: Any, repository: str) -> None:
    text = POLICY.replace('"Allow"', '"Deny"')
    assert refusal(ecr.set_repository_policy, repositoryName=repository, policyText=text)[0] == (
        "InvalidParameterException"
    )


def test_tags_that_do_not_move(ecr: Any, registry: Registry, repository: str) -> None:
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    registry.push(repository, "v1", b"first")
    registry.push(repository, "v1", b"first")  # the same once more is no move
    second = registry.manifest(repository, b"second")
    put = registry.ask("PUT", f"/v2/{repository}/manifests/v1", second, Content_Type=OCI_IMAGE)
    assert (put.status, put.code) == (400, "TAG_INVALID")
    code, _, message = refusal(ecr.put_image, repositoryName=repository, imageManifest=second.decode(), imageTag="v1")
    assert code == "ImageTagAlreadyExistsException"
    assert "cannot be overwritten because the repository is immutable" in message


def test_tags_that_move_although_others_do_not(ecr: Any, registry: Registry, repository: str) -> None:
    ecr.put_image_tag_mutability(
        repositoryName=repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    for tag in ("dev-1", "v1"):
        registry.push(repository, tag, b"first")
    second = registry.manifest(repository, b"second")
    put = {tag: registry.ask("PUT", f"/v2/{repository}/manifests/{tag}", second).status for tag in ("dev-1", "v1")}
    assert put == {"dev-1": 201, "v1": 400}


def test_what_is_not_built_is_refused_by_name(ecr: Any, repository: str) -> None:
    scanning = {"scanOnPush": True}
    made = refusal(ecr.create_repository, repositoryName="scanned", imageScanningConfiguration=scanning)
    assert "scanOnPush is not built" in made[2]
    put = refusal(ecr.put_image_scanning_configuration, repositoryName=repository, imageScanningConfiguration=scanning)
    assert "scanOnPush is not built" in put[2]
    kms = {"encryptionType": "KMS"}
    assert "KMS is not built" in refusal(ecr.create_repository, repositoryName="kms", encryptionConfiguration=kms)[2]
    code, status, message = refusal(ecr.start_image_scan, repositoryName=repository, imageId={"imageTag": "v1"})
    assert (code, status, "no database of vulnerabilities" in message) == ("NotImplemented", 501, True)


def test_names_that_are_none(ecr: Any) -> None:
    for name in ("Upper", "a", "a//b", "-a", "a" * 257):
        assert refusal(ecr.create_repository, repositoryName=name)[0] == "InvalidParameterException", name


def test_an_encrypted_repository(ecr: Any, registry: Registry, repository: str, server: WholeServer) -> None:
    name = f"{repository}-sealed"
    made = ecr.create_repository(repositoryName=name, encryptionConfiguration={"encryptionType": "AES256"})
    assert made["repository"]["encryptionConfiguration"] == {"encryptionType": "AES256"}
    data = b"tell this to nobody " * 10_000
    pushed = registry.push_layer(name, data)
    path = f"/v2/{name}/blobs/{pushed['digest']}"
    assert registry.ask("GET", path).body == data
    assert registry.ask("GET", path, Range="bytes=70000-140000").body == data[70_000:140_001]
    assert not [each for each in server.settings.blobs.glob("*/*") if data[:200] in each.read_bytes()]
    mounted = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?mount={pushed['digest']}&from={name}")
    assert mounted.status == 202  # in the clear it is another file
    registry.push_layer(repository, data)
    assert registry.ask("GET", path).body == data
    ecr.delete_repository(repositoryName=name)


def test_the_command_that_frees_layers(
    ecr: Any, registry: Registry, repository: str, server: WholeServer, tmp_path: Path
) -> None:
    """A repository's layers go with it. The command also removes environments: those of a folder that has none, never
    of the one that all tests share."""

    def freed() -> Any:
        done = server.clary("images", "gc", "--json", CLARY_IMAGES_HOME=str(tmp_path / "images"))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["layers"]

    data = b"of a push that has just begun"
    registry.push_layer(repository, data)
    freed()
    assert registry.ask("HEAD", f"/v2/{repository}/blobs/{digest(data)}").status == 200
    ecr.delete_repository(repositoryName=repository)
    ecr.create_repository(repositoryName=repository)
    gone = freed()
    assert gone["blobs"] >= 1
    assert gone["size"] >= len(data)
