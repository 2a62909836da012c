"""What the operations of S3 Control ask for."""

from __future__ import annotations

from collections.abc import Iterator

from clary.services.access.wanted import Wanted
from clary.services.operation import Call, Document

_ACTIONS = {
    "GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock",
    "PutPublicAccessBlock": "s3:PutAccountPublicAccessBlock",
    "DeletePublicAccessBlock": "s3:PutAccountPublicAccessBlock",
}


def wanted(call: Call, _given: Document) -> Iterator[Wanted]:
    yield Wanted(_ACTIONS[call.operation])
