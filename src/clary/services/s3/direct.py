"""Objects read past the control plane: an agent that says so is told where the bytes are, once its role may read them.

The request is GetObject with the header `x-clary-direct`, signed with the session that Clary gave the agent, and
allowed or refused as every other. Of anybody else, and in a presigned URL, the header says nothing. Where a part
of what it asks for can be read in another store, the answer is 307: `Location` is good for that part for a minute, and
`x-clary-extent: FIRST-LAST/SIZE` says which bytes of the place these are, and the object's size. The rest is asked for
anew. What is encrypted, small or in a file of the home comes in the answer itself.
"""

from __future__ import annotations

from clary.errors import ServiceError
from clary.services.operation import Call
from clary.services.s3 import uploads
from clary.services.s3.index import Entry

HEADER = "x-clary-direct"
_SECONDS = 60  # an agent follows at once; what breaks off is asked for anew


def redirect(call: Call, entry: Entry, start: int, length: int) -> ServiceError | None:
    """The answer that says where the first of `length` bytes from `start` on are, with as many as are in that place;
    None when they have to come from here."""
    if not _is_asked(call) or entry.encryption is not None or not length:
        return None
    blob, offset, count = _place(call, entry, start)
    url = call.platform.objects.url(blob, _SECONDS) if blob else None
    if url is None:
        return None
    last = offset + min(length, count) - 1
    headers = {"Location": url, "x-clary-extent": f"{offset}-{last}/{entry.size}", "ETag": f'"{entry.etag}"'}
    return ServiceError("TemporaryRedirect", "The object's bytes are in another store.", 307, headers=headers)


def _is_asked(call: Call) -> bool:
    headers = call.request.headers
    return call.principal.agent and HEADER in headers and "authorization" in headers


def _place(call: Call, entry: Entry, start: int) -> tuple[str, int, int]:
    """(the blob of the byte at `start`, where in it that is, how many follow in the blob); "" where there is none."""
    if not entry.upload:
        return entry.blob, start, entry.size - start
    for part in call.platform.stores.objects.read(lambda connection: uploads.list_parts(connection, entry.upload)):
        if part.at <= start < part.at + part.size:
            return part.blob, start - part.at, part.at + part.size - start
    return "", 0, 0
