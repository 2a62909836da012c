"""Checks that several resources make of a request, with AWS's wording."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Connection

from clary.errors import ServiceError, validation
from clary.scheduler import instance_types
from clary.scheduler.instance_types import InstanceType
from clary.services.access import passing
from clary.services.kms import envelope
from clary.services.kms.envelope import Behalf
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


def output_key(call: Call, key_id: str) -> Check:
    """That the KMS key of an output is one that encrypts, inside the transaction that creates what writes there. "" is
    no key; of another account's nothing is told, and what writes ends with KMS's error where it may not."""

    def check(connection: Connection) -> None:
        try:
            envelope.require_usable(connection, Behalf(call.platform, call.principal, region=call.region), key_id)
        except ServiceError as error:
            raise validation(f"Invalid KMS key for outputDataConfig.kmsKeyId: {error.code}: {error.message}") from None

    return check if key_id else lambda _: None


def no_volume_key(operation: str, member: str) -> ServiceError:
    """For a volume that is to be encrypted: refused, never ignored."""
    return validation(
        f"{operation}: {member} cannot be honoured. An instance's volume is a folder on this machine's disk, and only "
        "a block device of its own could be encrypted under a key of its own. Leave it out; where the disk has to be "
        "encrypted, encrypt the file system that Clary's home is on."
    )


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
