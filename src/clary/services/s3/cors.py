"""Cross-origin requests: what a bucket allows browsers, their preflight requests, the headers on other answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.services.operation import Call, Document, Operations
from clary.services.s3 import bucket_settings, configuration, faults, index, options
from clary.wire.messages import Request, Response

operations = Operations()

NAME = "Cors"
Pairs = list[tuple[str, str]]
Rule = Mapping[str, Any]

_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})
_MOST_RULES = 100
_LONGEST_ID = 255
_VARY = ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")


@operations.handles("PutBucketCors")
@options.understands("ChecksumAlgorithm", "ContentMD5", "CORSConfiguration")
def put_bucket_cors(call: Call, given: Document) -> Document:
    rules = given["CORSConfiguration"].get("CORSRules") or []
    if not rules:
        raise faults.malformed_xml()
    if len(rules) > _MOST_RULES:
        raise faults.invalid_request(
            f"The number of CORS rules should not exceed allowed limit of {_MOST_RULES} rules."
        )
    for rule in rules:
        _check(rule)
    configuration.put(call, given, NAME, rules)
    return {}


@operations.handles("GetBucketCors")
@options.understands()
def get_bucket_cors(call: Call, given: Document) -> Document:
    rules = configuration.get(call, given, NAME)
    if rules is None:
        raise configuration.absent(given, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
    return {"CORSRules": rules}


@operations.handles("DeleteBucketCors")
@options.understands()
def delete_bucket_cors(call: Call, given: Document) -> Document:
    configuration.delete(call, given, NAME)
    return {}


def _check(rule: Rule) -> None:
    if not rule.get("AllowedMethods") or not rule.get("AllowedOrigins") or len(rule.get("ID", "")) > _LONGEST_ID:
        raise faults.malformed_xml()
    for method in rule["AllowedMethods"]:
        if method not in _METHODS:
            message = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            raise faults.invalid_request(message)
    for noun, member in (("AllowedOrigin", "AllowedOrigins"), ("AllowedHeader", "AllowedHeaders")):
        for pattern in rule.get(member, ()):
            if pattern.count("*") > 1:
                raise faults.invalid_request(f'{noun} "{pattern}" can not have more than one wildcard.')
    for name in rule.get("ExposeHeaders", ()):
        if "*" in name:
            message = f'ExposeHeader "{name}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            raise faults.invalid_request(message)


class CrossOrigin:
    """Answers browsers for all buckets. Nobody has to prove anything for that."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def preflight(self, request: Request, bucket: str, key: str) -> Response:
        """The answer to an OPTIONS request for `bucket` (and a `key` in it). Raises BadRequest, AccessForbidden."""
        origin = request.headers.get("origin")
        if not origin:
            raise ServiceError("BadRequest", "Insufficient information. Origin request header needed.")
        method = request.headers.get("access-control-request-method")
        if method not in _METHODS:
            raise ServiceError("BadRequest", f"Invalid Access-Control-Request-Method: {method or 'null'}")
        rules = self._rules(bucket)
        if rules is None:
            raise _forbidden("CORS is not enabled for this bucket.", method, "BUCKET")
        wanted = _list(request.headers.get("access-control-request-headers") or "")
        rule = _matching(rules, origin, method, wanted)
        if rule is None:
            raise _not_allowed(method, "OBJECT" if key else "BUCKET")
        allowed = [("Access-Control-Allow-Headers", ", ".join(wanted))] if wanted else []
        return Response(200, [*_told(rule, origin), *allowed])

    def headers(self, request: Request, bucket: str) -> Pairs:
        """What the answer to a request that names its origin says besides; nothing where no rule speaks of it."""
        origin = request.headers.get("origin")
        rules = self._rules(bucket) if origin else None
        if not origin or not rules:
            return []
        method = request.headers.get("access-control-request-method") or request.method
        rule = _matching(rules, origin, method, ())
        return [] if rule is None else _told(rule, origin)

    def _rules(self, bucket: str) -> list[Rule] | None:
        def work(connection: Connection) -> list[Rule] | None:
            found = index.find_bucket(connection, bucket)
            return None if found is None else bucket_settings.find(connection, found, NAME)

        return self._platform.stores.objects.read(work)


def _matching(rules: Sequence[Rule], origin: str, method: str, headers: Sequence[str]) -> Rule | None:
    """The first rule that allows all of it."""
    for rule in rules:
        known = [pattern.lower() for pattern in rule.get("AllowedHeaders", ())]
        if (
            method in rule["AllowedMethods"]
            and any(_fits(origin, pattern) for pattern in rule["AllowedOrigins"])
            and all(any(_fits(header, pattern) for pattern in known) for header in headers)
        ):
            return rule
    return None


def _fits(text: str, pattern: str) -> bool:
    start, star, end = pattern.partition("*")
    if not star:
        return text == pattern
    return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)


def _told(rule: Rule, origin: str) -> Pairs:
    anyone = "*" in rule["AllowedOrigins"]
    told = [("Access-Control-Allow-Origin", "*" if anyone else origin)]
    told.append(("Access-Control-Allow-Methods", ", ".join(rule["AllowedMethods"])))
    if rule.get("ExposeHeaders"):
        told.append(("Access-Control-Expose-Headers", ", ".join(rule["ExposeHeaders"])))
    if "MaxAgeSeconds" in rule:
        told.append(("Access-Control-Max-Age", str(rule["MaxAgeSeconds"])))
    if not anyone:
        told.append(("Access-Control-Allow-Credentials", "true"))
    return [*told, _VARY]


def _list(header: str) -> list[str]:
    return [each.strip().lower() for each in header.split(",") if each.strip()]


def _forbidden(reason: str, method: str, kind: str) -> ServiceError:
    members = {"Method": method, "ResourceType": kind}
    return ServiceError("AccessForbidden", f"CORSResponse: {reason}", 403, members)


def _not_allowed(method: str, kind: str) -> ServiceError:
    return _forbidden(
        "This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
        "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS "
        "spec.",
        method,
        kind,
    )
