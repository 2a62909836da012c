"""What a bucket cannot be set to here. Questions about it are answered as AWS does where nothing was set, which is so;
what changes nothing is taken, all else refused by name."""

from __future__ import annotations

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Handler, Operations
from clary.services.s3 import access, faults, options
from clary.services.s3.index import Bucket

operations = Operations()

_ABSENT = {
    "GetBucketWebsite": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "GetBucketReplication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
}


def _absent(code: str, message: str) -> Handler:
    @options.understands()
    def handler(call: Call, given: Document) -> Document:
        bucket = _bucket(call, given)
        raise ServiceError(code, message, 404, {"BucketName": bucket.name})

    return handler


for _name, (_code, _message) in _ABSENT.items():
    operations.add(_name, _absent(_code, _message))


def _nothing(call: Call, given: Document) -> Document:
    _bucket(call, given)
    return {}


for _name in ("GetBucketAccelerateConfiguration", "GetBucketLogging"):
    operations.add(_name, options.understands()(_nothing))


def _no_more(call: Call, given: Document) -> Document:
    _bucket(call, given)
    return {"IsTruncated": False}


for _kind in ("Analytics", "IntelligentTiering", "Inventory", "Metrics"):
    operations.add(f"ListBucket{_kind}Configurations", options.understands("ContinuationToken")(_no_more))


@operations.handles("GetBucketRequestPayment")
@options.understands()
def get_bucket_request_payment(call: Call, given: Document) -> Document:
    _bucket(call, given)
    return {"Payer": "BucketOwner"}


@operations.handles("PutBucketRequestPayment")
@options.understands("ChecksumAlgorithm", "ContentMD5", "RequestPaymentConfiguration")
def put_bucket_request_payment(call: Call, given: Document) -> Document:
    _bucket(call, given)
    payer = given["RequestPaymentConfiguration"].get("Payer")
    if payer not in ("BucketOwner", "Requester"):
        raise faults.malformed_xml()
    if payer == "Requester":
        raise faults.not_implemented("RequestPaymentConfiguration.Payer: Requester")
    return {}


def _bucket(call: Call, given: Document) -> Bucket:
    return call.platform.stores.objects.read(lambda connection: access.enter(connection, call, given))
