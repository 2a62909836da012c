"""What a SigV4 request claims: whose key, which scope, what was signed. Read from the head, believed by nobody yet."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from clary.auth import refusals
from clary.auth.refusals import Family
from clary.errors import ServiceError
from clary.wire.messages import Request, RequestHead

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_EXPIRY = 604_800  # seconds: a week

_USUAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]{1,64})/([^/,\s]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9\-_.;]+), ?",
    re.ASCII,
)
_SIGNATURE = 64  # hexadecimal digits
_LONGEST_USUAL = 1024  # characters of what is remembered
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_QUERY_NAMES = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders")
_QUERY_MISSING = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
    "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)


class Claim(NamedTuple):
    """`at` is `stamp` in epoch seconds; `date`, `region`, `service` are the credential scope; `expires` is a presigned
    URL's life in seconds, None where nothing bounds it but the clock window; `token` is the session token, empty when
    none came."""

    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str
    stamp: str
    at: float
    token: str = ""
    presigned: bool = False
    expires: int | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


class _Parts(NamedTuple):
    """Of an Authorization header, but for the signature."""

    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]


def from_header(head: RequestHead, kind: Family) -> Claim:
    """Of a request with an Authorization header. Raises ServiceError."""
    authorization = single(head.fields, "authorization", kind)
    parts, signature = _read(authorization, kind)
    stamp, at = _when(head.fields, kind)
    if parts.date != stamp[:8]:
        raise refusals.wrong_scope_date(kind, parts.date, stamp)
    token = single(head.fields, "x-amz-security-token", kind)
    return Claim(*parts, signature, stamp, at, token)


def _read(authorization: str, kind: Family) -> tuple[_Parts, str]:
    """(all but the signature, the signature)."""
    before, name, signature = authorization.rpartition("Signature=")
    if name and len(signature) == _SIGNATURE and signature.isalnum() and len(before) <= _LONGEST_USUAL:
        usual = _usual(before)
        if usual is not None:
            return usual, signature
    if not authorization.startswith(f"{ALGORITHM} "):
        raise refusals.unsupported_scheme(kind, authorization)
    return _unusual(authorization, kind)


@lru_cache(maxsize=1024)
def _usual(before: str) -> _Parts | None:
    """What stands before the signature, as every known signer writes it; the same all day for one key, service and kind
    of request, so it is remembered: it says nothing that could become untrue. None when it is written otherwise."""
    found = _USUAL.fullmatch(before)
    if found is None:
        return None
    access_key, date, region, service, signed = found.groups()
    return _Parts(access_key, date, region, service, tuple(signed.split(";")))


def from_query(request: Request, kind: Family) -> Claim:
    """Of a presigned URL with an X-Amz-Algorithm parameter. Raises ServiceError."""
    given = _parameters(request.query, kind)
    if given.get("X-Amz-Algorithm") != ALGORITHM:
        raise refusals.incomplete_query(kind, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    if any(not given.get(name) for name in _QUERY_NAMES):
        raise refusals.incomplete_query(kind, _QUERY_MISSING)
    stamp = given["X-Amz-Date"]
    at = parse_stamp(stamp)
    if at is None:
        raise refusals.incomplete_query(kind, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    access_key, date, region, service = _credential(given["X-Amz-Credential"], kind)
    _check_scope(kind, date, region, stamp)
    signed = tuple(given["X-Amz-SignedHeaders"].split(";"))
    token = given.get("X-Amz-Security-Token", "")
    expires = _expires(given.get("X-Amz-Expires"), kind)
    return Claim(access_key, date, region, service, signed, given["X-Amz-Signature"], stamp, at, token, True, expires)


def single(fields: Mapping[str, Sequence[str]], name: str, kind: Family) -> str:
    """The value of a header that may come once; empty when it did not come."""
    values = fields.get(name)
    if not values:
        return ""
    if len(values) > 1:
        raise refusals.incomplete(kind, f"the header '{name}' came more than once")
    return values[0]


@lru_cache(maxsize=64)  # a busy client's stamps are those of this second
def parse_stamp(stamp: str) -> float | None:
    """20150830T123600Z as epoch seconds; None when it is no such time."""
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        return None
    return float(calendar.timegm((year, month, day, hour, minute, second)))


def is_region(text: str) -> bool:
    return _REGION.fullmatch(text) is not None


def _when(fields: Mapping[str, Sequence[str]], kind: Family) -> tuple[str, float]:
    stamp = single(fields, "x-amz-date", kind)
    if not stamp:
        stamp = single(fields, "date", kind)
        stamp = _basic(stamp) if stamp else stamp
    at = parse_stamp(stamp)
    if at is None:
        raise refusals.no_date(kind)
    return stamp, at


def _basic(date: str) -> str:
    """The time of a Date header in the form of X-Amz-Date, or the header as it is when it says none."""
    import email.utils  # hardly any client sends but this header: edges do without

    parsed = email.utils.parsedate_tz(date)
    return date if parsed is None else refusals.basic_time(email.utils.mktime_tz(parsed))


def _unusual(authorization: str, kind: Family) -> tuple[_Parts, str]:
    """The parts in another order or spelling, or an error that says what is missing."""
    rest = authorization[len(ALGORITHM) :].strip()
    parts = dict((part.strip().partition("=")[::2]) for part in rest.split(","))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)]
    if missing:
        said = " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        raise refusals.incomplete(kind, f"{said} Authorization={ALGORITHM}")
    access_key, date, region, service = _credential(parts["Credential"], kind)
    if not is_region(region):
        raise refusals.wrong_scope_region(kind, region)
    return _Parts(access_key, date, region, service, tuple(parts["SignedHeaders"].split(";"))), parts["Signature"]


def _credential(text: str, kind: Family) -> tuple[str, str, str, str]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or not parts[0]:
        message = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        raise refusals.incomplete(kind, message)
    access_key, date, region, service, end = parts
    if end != "aws4_request":
        raise refusals.wrong_scope_end(kind, end)
    return access_key, date, region, service


def _check_scope(kind: Family, date: str, region: str, stamp: str) -> None:
    if date != stamp[:8]:
        raise refusals.wrong_scope_date(kind, date, stamp)
    if not is_region(region):
        raise refusals.wrong_scope_region(kind, region)


def _parameters(query: str, kind: Family) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in query.split("&"):
        if not piece.startswith("X-Amz-"):
            continue
        name, _, value = piece.partition("=")
        if name in found:
            raise refusals.two_proofs(kind)
        found[name] = _unquoted(value) if "%" in value else value
    return found


def _unquoted(text: str) -> str:
    return _known_unquoted(text) if len(text) <= _LONGEST_USUAL else unquote(text, "latin-1")


@lru_cache(maxsize=256)  # the credentials of a day, of whoever signs many; pure, so never stale
def _known_unquoted(text: str) -> str:
    return unquote(text, "latin-1")


def _expires(text: str | None, kind: Family) -> int | None:
    if text is None:
        if kind == "s3":
            raise refusals.incomplete_query(kind, _QUERY_MISSING)
        return None
    if not text.isascii() or not text.lstrip("-").isdigit():
        raise _bad_expires(kind, "X-Amz-Expires should be a number")
    if text.startswith("-"):
        raise _bad_expires(kind, "X-Amz-Expires must be non-negative")
    if len(text) > 7 or int(text) > LONGEST_EXPIRY:
        message = (
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
            f"than {LONGEST_EXPIRY} seconds"
        )
        raise _bad_expires(kind, message)
    if int(text) == 0:
        raise _bad_expires(kind, "X-Amz-Expires must be at least 1 second")
    return int(text)


def _bad_expires(kind: Family, message: str) -> ServiceError:
    return refusals.incomplete_query(kind, message)
