"""Block Public Access of accounts: what it blocks is blocked in all of their buckets, whatever those are set to."""

from __future__ import annotations

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import blocks, faults

operations = Operations()


@operations.handles("PutPublicAccessBlock")
def put_public_access_block(call: Call, given: Document) -> Document:
    account = _own(call, given)
    asked = given.get("PublicAccessBlockConfiguration")
    if not asked:
        raise faults.invalid_request("Must specify at least one configuration.")
    wanted = blocks.complete(asked)
    call.platform.stores.objects.write(lambda connection: blocks.enter_account(connection, account, wanted))
    return {}


@operations.handles("GetPublicAccessBlock")
def get_public_access_block(call: Call, given: Document) -> Document:
    account = _own(call, given)
    found = call.platform.stores.objects.read(lambda connection: blocks.of_account(connection, account))
    if found is None:
        message = "The public access block configuration was not found"
        raise ServiceError("NoSuchPublicAccessBlockConfiguration", message, 404, {"AccountId": account})
    return {"PublicAccessBlockConfiguration": found}


@operations.handles("DeletePublicAccessBlock")
def delete_public_access_block(call: Call, given: Document) -> Document:
    account = _own(call, given)
    call.platform.stores.objects.write(lambda connection: blocks.enter_account(connection, account, None))
    return {"ResponseMetadata": {"HTTPStatusCode": 204}}


def _own(call: Call, given: Document) -> str:
    """The account that is meant. Raises AccessDenied unless it is the caller's."""
    if given.get("AccountId") != call.account:
        raise faults.access_denied()
    return call.account
