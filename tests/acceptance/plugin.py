"""A pytest plugin for suites of other projects: it runs in their environment, where nothing of ours is installed.

It keeps the tests that $SUITE_TESTS names (a file, one id a line), lets no connection leave this machine, writes a JSON
line for each test to $SUITE_RESULTS, and puts in the place of moto's reset of its own server one that any server can
take: what a test has made, and what would be in the way of the next one, is deleted through the API. Buckets of
ceph's suite are made as AWS made them when it was written: with lists of access, and open to public ones. The layers of
moto's images are pushed before these are put.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

_REGIONS = {
    "ecr": ("us-east-1", "eu-central-1"),
    **dict.fromkeys(("kms", "logs"), ("us-east-1", "us-west-1", "us-west-2", "eu-west-1")),
}
_failures: dict[str, str] = {}


def _only_here(connect: Callable[..., Any]) -> Callable[..., Any]:
    def checked(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and not _is_here(str(address[0])):
            raise ConnectionRefusedError(f"{address!r} is not on this machine")
        return connect(self, address)

    return checked


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    return host == "localhost"


def pytest_configure(config: pytest.Config) -> None:
    socket.socket.connect = _only_here(socket.socket.connect)  # type: ignore[method-assign] # for this process alone
    if os.environ["SUITE_SERVICE"] == "s3":
        _make_buckets_as_before()
    if os.environ["SUITE_SERVICE"] == "ecr":
        _push_layers_first()
    with suppress(ImportError):
        from moto.core import models  # type: ignore[import-not-found, unused-ignore] # of the suite's environment

        models.ServerModeMockAWS.reset = lambda _: _sweep()
        keys = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        make = models.MockAWS.__init__

        def made(self: Any, *given: Any, **named: Any) -> None:
            make(self, *given, **named)
            self._fake_creds = keys  # moto's own are no keys of this server

        models.MockAWS.__init__ = made


def _make_buckets_as_before() -> None:
    """As before April 2023, but where a test says how."""
    call = BaseClient._make_api_call

    def made(self: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        if operation != "CreateBucket" or "ObjectOwnership" in given:
            return call(self, operation, given)
        listed = {name: given[name] for name in ("Bucket", "ACL") if name in given}
        rest = {name: value for name, value in given.items() if name != "ACL"}
        answer = call(self, operation, {**rest, "ObjectOwnership": "ObjectWriter"})
        call(self, "DeletePublicAccessBlock", {"Bucket": given["Bucket"]})
        if "ACL" in listed:  # which may be a public one
            call(self, "PutBucketAcl", listed)
        return answer

    BaseClient._make_api_call = made


def _push_layers_first() -> None:
    """Images of moto's suite name layers that nobody pushed. Their digests are those of numbers, and of texts that the
    manifests have."""
    call = BaseClient._make_api_call
    known = {_digest(str(number)): str(number) for number in range(101)}

    def made(self: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        if operation == "PutImage":
            manifest = json.loads(given["imageManifest"])
            layers = [each["digest"] for each in manifest.get("layers", ())]
            texts = known | {_digest("".join(layers)): "".join(layers)}
            for digest in {*layers, manifest.get("config", {}).get("digest")} & texts.keys():
                with suppress(ClientError):  # it is there already, or the repository is not
                    _push(self, given["repositoryName"], digest, texts[digest].encode())
        return call(self, operation, given)

    def _push(ecr: Any, repository: str, digest: str, data: bytes) -> None:
        named = {"repositoryName": repository}
        named["uploadId"] = ecr.initiate_layer_upload(**named)["uploadId"]
        ecr.upload_layer_part(**named, partFirstByte=0, partLastByte=len(data) - 1, layerPartBlob=data)
        ecr.complete_layer_upload(**named, layerDigests=[digest])

    BaseClient._make_api_call = made


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = set(Path(os.environ["SUITE_TESTS"]).read_text().splitlines())
    items[:] = [each for each in items if each.nodeid in wanted]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome != "passed" and report.nodeid not in _failures:
        _failures[report.nodeid] = " ".join(str(report.longrepr).split())[-300:]
    if report.when == "teardown":
        why = _failures.get(report.nodeid)
        with Path(os.environ["SUITE_RESULTS"]).open("a") as out:
            out.write(json.dumps({"id": report.nodeid, "passed": why is None, "why": why}) + "\n")


def _sweep() -> None:
    service = os.environ["SUITE_SERVICE"]
    for region in _REGIONS.get(service, ("us-east-1",)):
        client = boto3.client(service, region_name=region, endpoint_url=os.environ["TEST_SERVER_MODE_ENDPOINT"])
        with suppress(ClientError):  # a test that has the time of years ago is signed in vain
            for delete, given in _SWEPT[service](client):
                with suppress(ClientError):  # what cannot go stays
                    getattr(client, delete)(**given)


def _of_kms(kms: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for page in kms.get_paginator("list_aliases").paginate():
        yield from (("delete_alias", {"AliasName": each["AliasName"]}) for each in page["Aliases"])


def _of_logs(logs: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for page in logs.get_paginator("describe_log_groups").paginate():
        yield from (("delete_log_group", {"logGroupName": each["logGroupName"]}) for each in page["logGroups"])


def _of_ecr(ecr: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for page in ecr.get_paginator("describe_repositories").paginate():
        named = ({"repositoryName": each["repositoryName"], "force": True} for each in page["repositories"])
        yield from (("delete_repository", each) for each in named)
    yield "delete_registry_policy", {}
    yield "put_replication_configuration", {"replicationConfiguration": {"rules": []}}


def _of_iam(iam: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for role in iam.list_roles()["Roles"]:
        named = {"RoleName": role["RoleName"]}
        if role["Path"] != "/service-role/":
            for each in iam.list_attached_role_policies(**named)["AttachedPolicies"]:
                yield "detach_role_policy", {**named, "PolicyArn": each["PolicyArn"]}
            yield "delete_role", named
    for user in iam.list_users()["Users"]:
        named = {"UserName": user["UserName"]}
        for each in iam.list_access_keys(**named)["AccessKeyMetadata"]:
            yield "delete_access_key", {**named, "AccessKeyId": each["AccessKeyId"]}
        for each in iam.list_attached_user_policies(**named)["AttachedPolicies"]:
            yield "detach_user_policy", {**named, "PolicyArn": each["PolicyArn"]}
        yield "delete_user", named
    for each in iam.list_policies(Scope="Local")["Policies"]:
        yield "delete_policy", {"PolicyArn": each["Arn"]}


_SWEPT = {"kms": _of_kms, "logs": _of_logs, "ecr": _of_ecr, "iam": _of_iam}
