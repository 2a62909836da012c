"""DecodeAuthorizationMessage. AWS encodes the reasons of a denial in messages of a few services, EC2 foremost; none of
those is here, so no message that somebody brings was made by this server."""

from __future__ import annotations

from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations

operations = Operations()


@operations.handles("DecodeAuthorizationMessage")
def decode_authorization_message(call: Call, given: Document) -> Document:
    raise ServiceError("InvalidAuthorizationMessageException", "Message is not valid", 400)
