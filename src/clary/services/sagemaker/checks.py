"""Checks that several resources make of a request, with AWS's wording."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Connection

from clary.errors import ServiceError, validation
from clary.scheduler import instance_types
from clary.scheduler.instance_types import InstanceType
from clary.services.resources import Check
from clary.store import records

_ROLE_KIND = "iam-role"


def role(arn: str) -> Check:
    """That the role exists, inside the creating transaction. Whether its trust policy names SageMaker is not judged:
    trust policies are recorded and not evaluated yet."""

    def check(connection: Connection) -> None:
        found = records.by_arn(connection, arn)
        if found is None or found.kind != _ROLE_KIND:
            raise _no_role(arn)

    return check


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


def _no_role(arn: str) -> ServiceError:
    return validation(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )
