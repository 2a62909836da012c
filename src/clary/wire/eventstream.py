"""Messages of application/vnd.amazon.eventstream, as answers that stream events are made of."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.model import StructureShape

from clary.wire import body_json, scalars

_STRING = 7


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message: prelude with its checksum, string headers, payload, checksum over all."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(data)) + data
        for name, data in ((name, value.encode()) for name, value in headers.items())
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack("!I", zlib.crc32(message))


def messages(shape: StructureShape, events: Iterable[Mapping[str, Mapping[str, Any]]]) -> Iterator[bytes]:
    """`shape` is the event stream; an event is {name of the event: its members}. A modelled exception among the events
    is sent as one and ends the stream."""
    codec = body_json.JsonCodec()
    for event in events:
        ((name, members),) = event.items()
        inner = shape.members[name]
        if not isinstance(inner, StructureShape):
            raise TypeError(f"{name} is no event")
        failed = bool(inner.metadata.get("exception"))
        headers = {":message-type": "exception", ":exception-type": name} if failed else {}
        if not failed:
            headers = {":message-type": "event", ":event-type": name}
        content, payload = _payload(codec, inner, members, headers)
        yield encode({**headers, ":content-type": content} if content else headers, payload)
        if failed:
            return


def _payload(
    codec: body_json.JsonCodec, shape: StructureShape, members: Mapping[str, Any], headers: dict[str, str]
) -> tuple[str, bytes]:
    """Fills `headers` with the members bound to them; returns the payload's content type and bytes."""
    rest: dict[str, Any] = {}
    for name, value in members.items():
        traits = shape.members[name].serialization
        if traits.get("eventheader"):
            headers[name] = scalars.text_writer(shape.members[name], "unixTimestamp")(value)
        elif traits.get("eventpayload") and shape.members[name].type_name == "blob":
            return "application/octet-stream", bytes(value)
        elif traits.get("eventpayload"):
            return "application/json", body_json.dumps(codec.writer(shape.members[name])(value))
        else:
            rest[name] = value
    return ("application/json", body_json.dumps(codec.writer(shape)(rest))) if rest else ("", b"")
