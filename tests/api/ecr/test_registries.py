"""A registry as a whole: its policy, settings of the account, and what it says of scanning, caches and signing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.access.people import Person, allow, refusal
from api.ecr.conftest import token_of
from api.ecr.registry import Registry, digest
from whole_server import WholeServer

ACCOUNT = "123456789012"
ALL = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/*"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def put_policy(ecr: Any) -> Iterator[Callable[[str], Any]]:
    yield lambda text: ecr.put_registry_policy(policyText=text)
    ecr.delete_registry_policy()


def test_a_policy_of_a_registry(ecr: Any, put_policy: Callable[[str], Any]) -> None:
    missing = ("RegistryPolicyNotFoundException", 400)
    assert refusal(ecr.get_registry_policy)[:2] == refusal(ecr.delete_registry_policy)[:2] == missing
    text = policy(allow("ecr:ReplicateImage", on=ALL, Principal={"AWS": "222222222222"}))
    for told in (put_policy(text), ecr.get_registry_policy()):
        assert (told["registryId"], told["policyText"]) == (ACCOUNT, text)
    code, _, message = refusal(ecr.put_registry_policy, policyText=policy(allow("ecr:*", Principal="*", on=None)))
    assert (code, "Invalid registry policy provided" in message) == ("InvalidParameterException", True)


def test_it_lets_in_and_keeps_out(
    server: WholeServer, ecr: Any, registry: Registry, repository: str, put_policy: Callable[[str], Any]
) -> None:
    """Of the repositories that it names; what a repository's own policy says holds as well."""
    registry.push(repository, "v1", b"layer")
    reader, writer = Person(server, allow("ecr:GetAuthorizationToken")), Person(server, allow("ecr:*"))
    arn = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repository}"
    shown = {"repositoryName": repository}
    assert refusal(reader.client("ecr").list_images, **shown)[0] == "AccessDeniedException"
    put_policy(
        policy(
            allow("ecr:ListImages", on=arn, Principal={"AWS": reader.arn}),
            {**allow("ecr:DescribeImages", on=ALL, Principal={"AWS": writer.arn}), "Effect": "Deny"},
        )
    )
    assert reader.client("ecr").list_images(**shown)["imageIds"]
    assert Registry(server.port, token_of(reader.client("ecr"))).ask("GET", f"/v2/{repository}/tags/list").status == 200
    assert refusal(reader.client("ecr").describe_images, **shown)[0] == "AccessDeniedException"
    assert refusal(writer.client("ecr").describe_images, **shown)[0] == "AccessDeniedException"
    own = policy({"Effect": "Deny", "Action": "ecr:ListImages", "Principal": {"AWS": reader.arn}})
    ecr.set_repository_policy(repositoryName=repository, policyText=own)
    assert refusal(reader.client("ecr").list_images, **shown)[0] == "AccessDeniedException"
    assert writer.client("ecr").list_images(**shown)["imageIds"]


def test_settings_of_an_account(ecr: Any, registry: Registry, repository: str) -> None:
    usual = {"BLOB_MOUNTING": "ENABLED", "REGISTRY_POLICY_SCOPE": "V2", "BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE"}
    assert {name: ecr.get_account_setting(name=name)["value"] for name in usual} == usual
    for name, value in (("BLOB_MOUNTING", "PERHAPS"), ("REGISTRY_POLICY_SCOPE", "V1"), ("NONE", "ENABLED")):
        assert refusal(ecr.put_account_setting, name=name, value=value)[0] == "InvalidParameterException"
    mine = f"{repository}-mine"
    ecr.create_repository(repositoryName=mine)
    registry.push_layer(repository, b"shared")
    mount = f"/v2/{mine}/blobs/uploads/?mount={digest(b'shared')}&from={repository}"
    assert ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")["value"] == "DISABLED"
    assert ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"
    assert registry.ask("POST", mount).status == 202
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert registry.ask("POST", mount).status == 201
    ecr.delete_repository(repositoryName=mine)


def test_settings_are_of_who_may(server: WholeServer) -> None:
    nobody = Person(server).client("ecr")
    put = {"name": "BLOB_MOUNTING", "value": "DISABLED"}
    text = policy(allow("ecr:*", on=ALL, Principal="*"))
    assert refusal(nobody.put_account_setting, **put)[0] == "AccessDeniedException"
    assert refusal(nobody.put_registry_policy, policyText=text)[0] == "AccessDeniedException"
    assert refusal(nobody.describe_registry)[0] == "AccessDeniedException"


def test_nothing_is_scanned(ecr: Any, registry: Registry, repository: str) -> None:
    registry.push(repository, "v1", b"layer")
    off = ecr.put_image_scanning_configuration(
        repositoryName=repository, imageScanningConfiguration={"scanOnPush": False}
    )
    assert off["imageScanningConfiguration"] == {"scanOnPush": False}
    asked = ecr.batch_get_repository_scanning_configuration(repositoryNames=[repository, "none"])
    (shown,), (failure,) = asked["scanningConfigurations"], asked["failures"]
    assert (shown["repositoryName"], shown["scanFrequency"]) == (repository, "MANUAL")
    assert (failure["repositoryName"], failure["failureCode"]) == ("none", "REPOSITORY_NOT_FOUND")
    basic = {"scanType": "BASIC", "rules": []}
    assert ecr.get_registry_scanning_configuration()["scanningConfiguration"] == basic
    assert ecr.put_registry_scanning_configuration(**basic)["registryScanningConfiguration"] == basic
    for given in ({"scanType": "ENHANCED"}, {"rules": [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": []}]}):
        message = refusal(ecr.put_registry_scanning_configuration, **given)[2]
        assert "no database of vulnerabilities" in message
    image = {"repositoryName": repository, "imageId": {"imageTag": "v1"}}
    assert refusal(ecr.describe_image_scan_findings, **image)[0] == "ScanNotFoundException"
    image["imageId"] = {"imageTag": "none"}
    assert refusal(ecr.describe_image_scan_findings, **image)[0] == "ImageNotFoundException"


def test_why_an_operation_is_not_built_is_told(ecr: Any, repository: str) -> None:
    archive = {"repositoryName": repository, "imageId": {"imageTag": "v1"}, "targetStorageClass": "ARCHIVE"}
    code, status, message = refusal(ecr.update_image_storage_class, **archive)
    assert (code, status, "one class of storage" in message) == ("NotImplemented", 501, True)
    destination = {"registryId": ACCOUNT, "region": "eu-west-1"}
    assert "when it is pushed again" in refusal(ecr.start_replication_backfill, destination=destination)[2]


def test_there_are_no_caches_and_no_signatures(ecr: Any, registry: Registry, repository: str) -> None:
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []
    made = {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry.example.com"}
    assert "no way to the registries of the internet" in refusal(ecr.create_pull_through_cache_rule, **made)[2]
    gone = refusal(ecr.delete_pull_through_cache_rule, ecrRepositoryPrefix="hub")
    assert gone[0] == "PullThroughCacheRuleNotFoundException"
    assert refusal(ecr.get_signing_configuration)[0] == "SigningConfigurationNotFoundException"
    registry.push(repository, "v1", b"layer")
    asked = ecr.describe_image_signing_status(repositoryName=repository, imageId={"imageTag": "v1"})
    assert asked["signingStatuses"] == []
