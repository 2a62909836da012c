"""Templates of repositories, and pushes that make one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.access.people import Person, allow, refusal, unique
from api.ecr.conftest import token_of
from api.ecr.registry import Registry, digest
from whole_server import WholeServer

ACCOUNT = "123456789012"
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9},
                "action": {"type": "expire"},
            }
        ]
    }
)
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "ecr:ListImages"}],
    }
)


@pytest.fixture
def prefix(ecr: Any) -> Iterator[str]:
    """Under which there is a template for pushes."""
    name = unique("team")
    ecr.create_repository_creation_template(
        prefix=f"{name}/",
        description="of a team",
        appliedFor=["CREATE_ON_PUSH"],
        imageTagMutability="IMMUTABLE",
        resourceTags=[{"Key": "team", "Value": name}],
        encryptionConfiguration={"encryptionType": "AES256"},
        repositoryPolicy=POLICY,
        lifecyclePolicy=LIFECYCLE,
    )
    yield name
    ecr.delete_repository_creation_template(prefix=name)


def test_a_template_is_kept(ecr: Any, prefix: str) -> None:
    (shown,) = ecr.describe_repository_creation_templates(prefixes=[prefix])["repositoryCreationTemplates"]
    assert (shown["prefix"], shown["description"], shown["appliedFor"]) == (prefix, "of a team", ["CREATE_ON_PUSH"])
    assert (shown["imageTagMutability"], shown["lifecyclePolicy"]) == ("IMMUTABLE", LIFECYCLE)
    assert json.loads(shown["repositoryPolicy"]) == json.loads(POLICY)
    changed = ecr.update_repository_creation_template(prefix=prefix, imageTagMutability="MUTABLE", description="of all")
    told = changed["repositoryCreationTemplate"]
    assert (told["imageTagMutability"], told["description"], told["lifecyclePolicy"]) == (
        "MUTABLE",
        "of all",
        LIFECYCLE,
    )
    there = refusal(ecr.create_repository_creation_template, prefix=prefix, appliedFor=["REPLICATION"])
    assert there[0] == "TemplateAlreadyExistsException"
    for work in (ecr.update_repository_creation_template, ecr.delete_repository_creation_template):
        assert refusal(work, prefix="none")[0] == "TemplateNotFoundException"


def test_templates_in_pages(ecr: Any) -> None:
    names = sorted(unique("page") for _ in range(3))
    for name in names:
        ecr.create_repository_creation_template(prefix=name, appliedFor=["REPLICATION"])
    pages = list(
        ecr.get_paginator("describe_repository_creation_templates").paginate(
            prefixes=[*names, "none"], PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["repositoryCreationTemplates"]) for page in pages] == [2, 1]
    assert [each["prefix"] for page in pages for each in page["repositoryCreationTemplates"]] == names
    for name in names:
        ecr.delete_repository_creation_template(prefix=name)


@pytest.mark.parametrize(
    "change",
    [
        {"repositoryPolicy": "{}"},
        {"lifecyclePolicy": "{}"},
        {"encryptionConfiguration": {"encryptionType": "KMS"}},
        {"customRoleArn": f"arn:aws:iam::{ACCOUNT}:role/maker"},
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        {"prefix": "Upper"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_template(ecr: Any, change: dict[str, Any]) -> None:
    given = {"prefix": "never", "appliedFor": ["CREATE_ON_PUSH"], **change}
    assert refusal(ecr.create_repository_creation_template, **given)[0] == "InvalidParameterException"


def test_a_push_makes_a_repository(ecr: Any, registry: Registry, prefix: str) -> None:
    name = f"{prefix}/app"
    assert registry.ask("HEAD", f"/v2/{name}/blobs/{digest(b'layer')}").status == 404
    registry.push(name, "v1", b"layer")
    (made,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert (made["imageTagMutability"], made["encryptionConfiguration"]) == ("IMMUTABLE", {"encryptionType": "AES256"})
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == [{"Key": "team", "Value": prefix}]
    assert ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == LIFECYCLE
    assert json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"]) == json.loads(POLICY)
    again = ecr.initiate_layer_upload(repositoryName=f"{prefix}/by/the/api")
    assert again["uploadId"]
    for each in (name, f"{prefix}/by/the/api"):
        ecr.delete_repository(repositoryName=each, force=True)


def test_what_makes_none(ecr: Any, registry: Registry, prefix: str) -> None:
    """A pull; a push elsewhere; one by a template that is for something else."""
    assert registry.ask("GET", f"/v2/{prefix}/app/manifests/v1").code == "NAME_UNKNOWN"
    assert registry.ask("POST", f"/v2/{prefix}-more/app/blobs/uploads/").code == "NAME_UNKNOWN"
    ecr.update_repository_creation_template(prefix=prefix, appliedFor=["REPLICATION"])
    assert registry.ask("POST", f"/v2/{prefix}/app/blobs/uploads/").code == "NAME_UNKNOWN"


def test_who_pushes_has_to_be_allowed_to_create(server: WholeServer, ecr: Any, prefix: str) -> None:
    pushing = allow("ecr:GetAuthorizationToken", "ecr:InitiateLayerUpload", "ecr:TagResource")
    person = Person(server, pushing)
    registry = Registry(server.port, token_of(person.client("ecr")))
    path = f"/v2/{prefix}/theirs/blobs/uploads/"
    answer = registry.ask("POST", path)
    assert (answer.status, b"ecr:CreateRepository" in answer.body) == (403, True)
    person.may(pushing, allow("ecr:CreateRepository", Condition={"StringEquals": {"aws:RequestTag/team": "others"}}))
    assert registry.ask("POST", path).status == 403
    person.may(pushing, allow("ecr:CreateRepository", Condition={"StringEquals": {"aws:RequestTag/team": prefix}}))
    assert registry.ask("POST", path).status == 202
    ecr.delete_repository(repositoryName=f"{prefix}/theirs")
