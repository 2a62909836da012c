"""Checks that several resources make of a request, with AWS's wording."""

from __future__ import annotations

from collections.abc import Mapping

from clary.errors import validation
from clary.scheduler import instance_types
from clary.scheduler.instance_types import InstanceType
from clary.services.access import passing
from clary.services.operation import Call
from clary.services.resources import Check, Resource


def role(call: Call, resource: Resource, arn: str, name: str) -> Check:
    """That the role is the account's and trusts SageMaker, inside the transaction that creates `resource` of that
    name."""
    target = resource.arn(call.account, call.region, name)
    return lambda connection: passing.check(connection, arn, call.account, target)


def s3_uri(uri: str, member: str) -> str:
    """The URI without a trailing slash. The model's pattern allows https forms and empty buckets; nothing here does."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    if not uri.startswith("s3://") or not bucket:
        raise validation(f"Invalid S3 URI for {member}: {uri!r}. Expected s3://BUCKET/KEY.")
    return uri.rstrip("/")


def instance_type(name: str) -> InstanceType:
    try:
        return instance_types.find(name)
    except ValueError:
        raise validation(f"Unknown instance type: {name}") from None


def environment(given: Mapping[str, str] | None) -> None:
    """The model's pattern admits every character; no process can be given a NUL."""
    for name, value in (given or {}).items():
        if "\0" in value:
            raise validation(f"The value of environment variable {name} holds a NUL character. Please remove it.")
