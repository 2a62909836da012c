"""Images come to other regions and other accounts, as the rules of their registry say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.access.people import Person, allow, refusal, unique
from api.ecr.conftest import OTHER, token_of
from api.ecr.registry import OCI_INDEX, Registry, digest, index
from whole_server import WholeServer, wait_until

ACCOUNT = "123456789012"
FROM, THERE = "us-west-2", "eu-west-1"


@pytest.fixture(scope="module")
def ecr(server: WholeServer) -> Any:
    """Where images come from: another region than that of other tests, whose images stay where they are."""
    return server.client("ecr", region_name=FROM)


@pytest.fixture(scope="module")
def there(server: WholeServer) -> Any:
    return server.client("ecr", region_name=THERE)


@pytest.fixture
def destination(server: WholeServer, there: Any) -> Registry:
    return Registry(server.port, token_of(there))


@pytest.fixture
def rules(ecr: Any) -> Iterator[Any]:
    """Sets them: (account, region) of the destinations, and prefixes of repositories."""

    def put(*destinations: tuple[str, str], prefixes: tuple[str, ...] = ()) -> Any:
        named = [{"registryId": account, "region": region} for account, region in destinations]
        rule: dict[str, Any] = {"destinations": named}
        if prefixes:
            rule["repositoryFilters"] = [{"filter": each, "filterType": "PREFIX_MATCH"} for each in prefixes]
        return ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})

    yield put
    ecr.put_replication_configuration(replicationConfiguration={"rules": []})


def statuses(ecr: Any, repository: str, tag: str) -> list[tuple[str, str, str, str]]:
    """(account, region, status, failure) once nothing is under way any more."""
    named = {"repositoryName": repository, "imageId": {"imageTag": tag}}

    def ask() -> list[dict[str, str]]:
        found: list[dict[str, str]] = ecr.describe_image_replication_status(**named)["replicationStatuses"]
        return found

    wait_until(lambda: all(each["status"] != "IN_PROGRESS" for each in ask()), 60)
    return [(each["registryId"], each["region"], each["status"], each.get("failureCode", "")) for each in ask()]


def test_an_index_comes_to_another_region(
    ecr: Any, there: Any, registry: Registry, destination: Registry, repository: str, rules: Any
) -> None:
    assert rules((ACCOUNT, THERE))["replicationConfiguration"] == ecr.describe_registry()["replicationConfiguration"]
    images = [registry.manifest(repository, name) for name in (b"one", b"two")]
    for image in images:
        assert registry.ask("PUT", f"/v2/{repository}/manifests/{digest(image)}", image).status == 201
    listed = index(*images)
    assert registry.ask("PUT", f"/v2/{repository}/manifests/v1", listed, Content_Type=OCI_INDEX).status == 201
    assert statuses(ecr, repository, "v1") == [(ACCOUNT, THERE, "COMPLETE", "")]
    assert destination.ask("GET", f"/v2/{repository}/manifests/v1").body == listed
    assert destination.ask("GET", f"/v2/{repository}/manifests/{digest(images[1])}").body == images[1]
    assert destination.ask("GET", f"/v2/{repository}/blobs/{digest(b'two')}").body == b"two"
    there.delete_repository(repositoryName=repository, force=True)


def test_what_was_there_before_the_rules(ecr: Any, there: Any, registry: Registry, repository: str, rules: Any) -> None:
    """It stays; and an image of an index comes with it although it was there before."""
    old = registry.manifest(repository, b"old")
    registry.ask("PUT", f"/v2/{repository}/manifests/old", old)
    rules((ACCOUNT, THERE))
    assert statuses(ecr, repository, "old") == []
    registry.ask("PUT", f"/v2/{repository}/manifests/new", index(old), Content_Type=OCI_INDEX)
    assert statuses(ecr, repository, "new") == [(ACCOUNT, THERE, "COMPLETE", "")]
    found = there.list_images(repositoryName=repository)["imageIds"]
    assert {each.get("imageTag") for each in found} == {None, "new"}
    there.delete_repository(repositoryName=repository, force=True)


def test_a_repository_there_is_made_by_a_template(
    ecr: Any, there: Any, registry: Registry, destination: Registry, rules: Any
) -> None:
    """An encrypted one, whose layers cannot be shared; of the prefix that the rule names alone."""
    prefix = unique("sealed")
    sealed = {"encryptionType": "AES256"}
    there.create_repository_creation_template(prefix=prefix, appliedFor=["REPLICATION"], encryptionConfiguration=sealed)
    rules((ACCOUNT, THERE), prefixes=(f"{prefix}/",))
    name = f"{prefix}/app"
    for each in (name, f"{prefix}-not"):
        ecr.create_repository(repositoryName=each)
        registry.push(each, "v1", b"secret layer")
    assert statuses(ecr, name, "v1") == [(ACCOUNT, THERE, "COMPLETE", "")]
    assert statuses(ecr, f"{prefix}-not", "v1") == []
    assert there.describe_repositories(repositoryNames=[name])["repositories"][0]["encryptionConfiguration"] == sealed
    assert destination.ask("GET", f"/v2/{name}/blobs/{digest(b'secret layer')}").body == b"secret layer"
    there.delete_repository_creation_template(prefix=prefix)
    there.delete_repository(repositoryName=name, force=True)
    for each in (name, f"{prefix}-not"):
        ecr.delete_repository(repositoryName=each, force=True)


def test_another_account_has_to_let_images_in(
    server: WholeServer, ecr: Any, other: Any, registry: Registry, repository: str, rules: Any
) -> None:
    rules((OTHER, "us-east-1"))
    registry.push(repository, "v1", b"layer")
    assert statuses(ecr, repository, "v1") == [(OTHER, "us-east-1", "FAILED", "AccessDenied")]
    replicate = allow(
        "ecr:ReplicateImage", on=f"arn:aws:ecr:us-east-1:{OTHER}:repository/team/*", Principal={"AWS": ACCOUNT}
    )
    for statement in (replicate, {**replicate, "Action": ["ecr:ReplicateImage", "ecr:CreateRepository"]}):
        assert refusal(other.describe_repositories, repositoryNames=[repository])[0] == "RepositoryNotFoundException"
        other.put_registry_policy(policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        registry.push(repository, "v1", b"layer")
        found = statuses(ecr, repository, "v1")
    assert found == [(OTHER, "us-east-1", "COMPLETE", "")]
    theirs = Registry(server.port, token_of(other))
    assert theirs.ask("GET", f"/v2/{repository}/blobs/{digest(b'layer')}").body == b"layer"
    other.delete_registry_policy()
    other.delete_repository(repositoryName=repository, force=True)


def test_a_tag_there_that_does_not_move(ecr: Any, there: Any, registry: Registry, repository: str, rules: Any) -> None:
    rules((ACCOUNT, THERE))
    there.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    registry.push(repository, "v1", b"first")
    assert statuses(ecr, repository, "v1") == [(ACCOUNT, THERE, "COMPLETE", "")]
    registry.push(repository, "v1", b"second")
    assert statuses(ecr, repository, "v1") == [(ACCOUNT, THERE, "FAILED", "ImageTagAlreadyExists")]
    there.delete_repository(repositoryName=repository, force=True)


def test_what_is_no_configuration(server: WholeServer, ecr: Any, repository: str) -> None:
    def refused(*rules: dict[str, Any]) -> tuple[str, str]:
        code, _, message = refusal(ecr.put_replication_configuration, replicationConfiguration={"rules": list(rules)})
        return code, message

    far = {"destinations": [{"registryId": ACCOUNT, "region": THERE}]}
    code, message = refused({"destinations": [{"registryId": ACCOUNT, "region": FROM}]})
    assert (code, "cannot be the same as the source" in message) == ("InvalidParameterException", True)
    assert "at most 10 rules" in refused(*[far] * 11)[1]
    many = [{"registryId": f"{number:012}", "region": THERE} for number in range(26)]
    assert "at most 25 destinations" in refused({"destinations": many})[1]
    assert "deleteReplication is not built" in refused({**far, "deleteReplication": {"enabled": True}})[1]
    asked = {"repositoryName": repository, "imageId": {"imageTag": "none"}}
    assert refusal(ecr.describe_image_replication_status, **asked)[0] == "ImageNotFoundException"
    nobody = Person(server).client("ecr")
    given = {"replicationConfiguration": {"rules": [far]}}
    assert refusal(nobody.put_replication_configuration, **given)[0] == "AccessDeniedException"
