"""Content-MD5 and x-amz-checksum-* of requests whose body is a document (DeleteObjects, tagging, ...)."""

from __future__ import annotations

import hashlib

from clary.services.operation import Call, Document
from clary.services.s3 import checksums

_CLAIMS = [(each.header, each.member, each) for each in checksums.ALGORITHMS.values()]
_HEADERS = frozenset({"content-md5", *(each.header for each in checksums.ALGORITHMS.values())})


def check_document(call: Call, given: Document) -> None:
    """Raises BadDigest or InvalidDigest. `call.body` has to give the document's bytes once more; where it gives none
    there was no document. Streamed bodies are checked while they are stored."""
    headers = call.request.headers
    if "Body" in given or _HEADERS.isdisjoint(headers.by_name):
        return
    names, md5 = headers.by_name, headers.get("content-md5")
    # A checksum that is a parameter (CompleteMultipartUpload) speaks of the object, not of the document.
    claims = [each for header, member, each in _CLAIMS if header in names and member not in given]
    if md5 is None and not claims:
        return
    document = call.body.read()
    if not document:
        return
    if md5 is not None:
        checksums.check_md5(md5, hashlib.md5(document, usedforsecurity=False).digest())
    for each in claims:
        running = each.new()
        running.update(document)
        checksums.check(each, headers.get(each.header) or "", running.digest())
