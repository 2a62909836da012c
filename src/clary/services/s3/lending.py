"""Objects written past the control plane: an agent that says so is told where another store takes the bytes.

That takes two requests. Both are the PutObject or UploadPart that it is about, with the Content-MD5 of the bytes but
without these, signed (the headers below too) with the session that Clary gave the agent, and allowed or refused as
every other.

`x-clary-lend: SIZE` is answered 307. `Location` is where to PUT the bytes, with `Content-MD5` and `If-None-Match: *`,
within five minutes; `x-clary-lent` is the name of the blob that they become. It was noted in the index before, so that
no sweep takes it. What is few, encrypted or kept in the home, or is to have another checksum, has to come here: then
the 307 has neither.

`x-clary-lent: NAME` enters the blob, once the other store says that it has these bytes. What the answer says is noted
in the same transaction. Who asks again is told the same, and nothing is entered twice: a blob that replaced itself
would be freed. What is not entered within an hour is deleted; whoever comes later is told NoSuchLoan, and sends the
bytes here.

A server of an earlier release takes both requests for empty objects, and refuses them because of their Content-MD5.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.services.operation import Call, Document
from clary.services.s3 import checksums, loans, writing
from clary.services.s3.loans import Loan
from clary.services.s3.writing import Written

LEND, LENT = "x-clary-lend", "x-clary-lent"
GRACE = 3600.0  # seconds in which a loan is to be entered
_SECONDS = 300  # an address: what is begun in it may end later
_SIGNED = re.compile(r"SignedHeaders=([^,\s]+)")

Work = Callable[[Connection], tuple[Document, list[str]]]


class Purpose(NamedTuple):
    """What a blob is to be: an object, or a part of an upload. `plain` says that its bytes are kept as they come."""

    bucket: str
    key: bytes
    plain: bool
    upload: str = ""
    number: int = 0


def lent(call: Call, given: Document, purpose: Purpose) -> Loan | None:
    """The loan that a request is to enter, whose bytes are there; None for a request that brings its own. Raises the
    answer to one that wants a loan, NoSuchLoan, InvalidDigest, Unavailable."""
    asked = _asked(call)
    if LENT in asked:
        return _found(call, given, purpose)
    if LEND in asked:
        raise _lend(call, given, purpose)
    return None


def written(loan: Loan) -> Written:
    """What is known of its bytes."""
    return Written(loan.blob, b"", loan.size, loan.md5, {})


def commit(platform: Platform, loan: Loan, work: Work) -> Document:
    """Enters the loan's blob by `work`, as `writing.commit` does what was written here; of one that is entered already,
    what was said then."""

    def once(connection: Connection) -> tuple[Document, list[str]]:
        present = loans.find(connection, loan.blob)
        if present is None:
            raise _no_such_loan()
        if present.answer is not None:
            return present.answer, []
        told, freed = work(connection)
        loans.answer(connection, loan.blob, told)
        return told, freed

    told, freed = platform.stores.objects.write(once)
    writing.discard(platform, freed)
    return told


def sweep(platform: Platform, stopped: Callable[[], bool] = lambda: False) -> int:
    """Forgets old loans, and deletes what came of those that were not entered; returns how many these were. A crash in
    between leaves the bytes to the sweep of leftovers."""
    before, swept = platform.clock.now() - GRACE, 0
    while not stopped():
        names = platform.stores.objects.read(lambda connection: loans.older(connection, before))
        if not names:
            break
        unused = platform.stores.objects.write(partial(loans.forget, blobs=names))
        writing.discard(platform, unused)
        swept += len(unused)
    return swept


def _asked(call: Call) -> frozenset[str]:
    """The signed headers of an agent's request without a body. Of anybody else's, and of presigned URLs, none."""
    authorization = call.request.headers.get("authorization") or ""
    found = _SIGNED.search(authorization) if call.principal.agent and call.request.body.length == 0 else None
    return frozenset(found[1].split(";")) if found else frozenset()


def _lend(call: Call, given: Document, purpose: Purpose) -> ServiceError:
    size, md5 = _size(call), given.get("ContentMD5")
    digest = checksums.md5_value(md5).hex() if md5 is not None else ""
    few = size <= (0 if purpose.upload else writing.SMALL)
    if not purpose.plain or not digest or few or checksums.declared(given, call.request.headers):
        return _redirect({})
    place = call.platform.objects.lend(digest, _SECONDS)
    if place is None:
        return _redirect({})
    now, (bucket, key, _, upload, number) = call.platform.clock.now(), purpose
    loan = Loan(place.blob, bucket, key, upload, number, size, digest, now)
    call.platform.stores.objects.write(lambda connection: loans.add(connection, loan))
    return _redirect({"Location": place.url, LENT: place.blob})


def _size(call: Call) -> int:
    """0 for what is none."""
    text = call.request.headers.get(LEND) or ""
    size = int(text) if re.fullmatch("[0-9]{1,15}", text) else 0
    if size > writing.LARGEST_PUT:
        raise writing.too_large(size)
    return size


def _found(call: Call, given: Document, purpose: Purpose) -> Loan:
    blob = call.request.headers.get(LENT) or ""
    loan = call.platform.stores.objects.read(lambda connection: loans.find(connection, blob))
    bucket, key, plain, upload, number = purpose
    if loan is None or (loan.bucket, loan.key, loan.upload, loan.number) != (bucket, key, upload, number):
        raise _no_such_loan()
    if given.get("ContentMD5") != base64.b64encode(bytes.fromhex(loan.md5)).decode():
        raise _no_such_loan()
    if loan.answer is not None:
        return loan
    if not plain or not call.platform.objects.arrived(loan.blob, loan.size, loan.md5):
        raise _no_such_loan()
    return loan


def _redirect(headers: dict[str, str]) -> ServiceError:
    return ServiceError("TemporaryRedirect", "The object's bytes are to be sent elsewhere.", 307, headers=headers)


def _no_such_loan() -> ServiceError:
    message = "No bytes came under a name that was lent for this. Send them here."
    return ServiceError("NoSuchLoan", message, 404)
