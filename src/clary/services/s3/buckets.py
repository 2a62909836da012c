"""Buckets: create, list, look at, delete."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import access, acl, faults, index, lock, options, ownership, tokens, writing
from clary.services.s3.index import Bucket

operations = Operations()

_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+)+-\d+")
_MOST_BUCKETS = 10_000


@operations.handles("CreateBucket")
@options.understands("CreateBucketConfiguration", "ObjectLockEnabledForBucket", "ObjectOwnership", *acl.MEMBERS)
def create_bucket(call: Call, given: Document) -> Document:
    name = given["Bucket"]
    options.check_bucket_name(name)
    grants = acl.asked(given, call.account, call.account)
    configuration = dict(given.get("CreateBucketConfiguration") or {})
    region = _region(call.region, configuration.pop("LocationConstraint", None))
    tags = options.tags_of_set(configuration.pop("Tags", []), most=50)
    if configuration:
        raise faults.not_implemented(f"CreateBucketConfiguration.{next(iter(configuration))}")
    bucket = Bucket(name, call.account, region, call.platform.clock.now(), tags)

    def work(connection: Connection) -> None:
        present = index.find_bucket(connection, name)
        if present is None:
            index.add_bucket(connection, bucket)
            if given.get("ObjectLockEnabledForBucket"):
                lock.enable(connection, bucket)
            ownership.enter(connection, bucket, given.get("ObjectOwnership"), grants)
        else:
            _taken(call, present)

    call.platform.stores.objects.write(work)
    return {"Location": f"/{name}"}


def _taken(call: Call, present: Bucket) -> None:
    """us-east-1 answers 200 to a second creation by the owner, all other regions an error."""
    members = {"BucketName": present.name}
    if present.account != call.account:
        message = (
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again."
        )
        raise ServiceError("BucketAlreadyExists", message, 409, members)
    if call.region != "us-east-1" or present.region != "us-east-1":
        message = "Your previous request to create the named bucket succeeded and you already own it."
        raise ServiceError("BucketAlreadyOwnedByYou", message, 409, members)


def _region(endpoint: str, constraint: str | None) -> str:
    """Where the bucket is to be: at the us-east-1 endpoint any region may be named, elsewhere only that one."""
    code = "IllegalLocationConstraintException"
    if constraint is None:
        if endpoint == "us-east-1":
            return endpoint
        raise ServiceError(
            code,
            "The unspecified location constraint is incompatible for the region specific endpoint this request was "
            "sent to.",
        )
    region = "eu-west-1" if constraint == "EU" else constraint
    if region == "us-east-1" or not _REGION.fullmatch(region):
        message = "The specified location-constraint is not valid"
        raise ServiceError("InvalidLocationConstraint", message, 400, {"LocationConstraint": constraint})
    if endpoint not in ("us-east-1", region):
        message = (
            f"The {constraint} location constraint is incompatible for the region specific endpoint this request was "
            "sent to."
        )
        raise ServiceError(code, message)
    return region


@operations.handles("ListBuckets")
@options.understands("BucketRegion", "ContinuationToken", "MaxBuckets", "Prefix")
def list_buckets(call: Call, given: Document) -> Document:
    prefix, region = given.get("Prefix", ""), given.get("BucketRegion", "")
    if any(character < " " for character in prefix):
        raise faults.invalid_request("Argument prefix must not hold control characters")  # XML has none to tell it by
    most = int(given.get("MaxBuckets", _MOST_BUCKETS))
    if not 1 <= most <= _MOST_BUCKETS:
        message = f"Argument max-buckets must be an integer between 1 and {_MOST_BUCKETS}"
        raise faults.invalid_argument(message, "max-buckets", most)
    bound = ("ListBuckets", call.account, prefix, region)
    after, token = "", given.get("ContinuationToken")
    if token is not None:
        after = tokens.opened(tokens.secret(call.platform), token, bound)

    def work(connection: Connection) -> list[Bucket]:
        return index.list_buckets(connection, call.account, after, prefix, region, most + 1)

    found = call.platform.stores.objects.read(work)
    result: Document = {"Buckets": [_listed(each) for each in found[:most]], "Owner": access.owner(call.account)}
    if prefix:
        result["Prefix"] = prefix
    if len(found) > most:
        result["ContinuationToken"] = tokens.sealed(tokens.secret(call.platform), found[most - 1].name, bound)
    return result


def _listed(bucket: Bucket) -> Document:
    return {
        "Name": bucket.name,
        "CreationDate": datetime.fromtimestamp(bucket.created, UTC),
        "BucketRegion": bucket.region,
        "BucketArn": f"arn:aws:s3:::{bucket.name}",
    }


@operations.handles("HeadBucket")
@options.understands()
def head_bucket(call: Call, given: Document) -> Document:
    bucket = call.platform.stores.objects.read(lambda connection: access.enter(connection, call, given))
    return {
        "BucketRegion": bucket.region,
        "BucketArn": f"arn:aws:s3:::{bucket.name}",
        "AccessPointAlias": False,
    }


@operations.handles("GetBucketLocation")
@options.understands()
def get_bucket_location(call: Call, given: Document) -> Document:
    bucket = call.platform.stores.objects.read(lambda connection: access.enter(connection, call, given))
    return {} if bucket.region == "us-east-1" else {"LocationConstraint": bucket.region}


@operations.handles("DeleteBucket")
@options.understands()
def delete_bucket(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> list[str]:
        bucket = access.enter(connection, call, given)
        if not index.is_empty(connection, bucket.name):
            message = "The bucket you tried to delete is not empty"
            raise ServiceError("BucketNotEmpty", message, 409, {"BucketName": bucket.name})
        return index.remove_bucket(connection, bucket.name)

    writing.discard(call.platform, call.platform.stores.objects.write(work))
    return {}
