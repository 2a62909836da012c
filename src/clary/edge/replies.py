"""Response heads as bytes, and the errors that an edge answers by itself, in the shape that the client reads."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from http import HTTPStatus

from clary.edge.heads import Head
from clary.serving.request_ids import request_id

_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {530: "Site Frozen"}
_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(100, 600)}
_QUERY_SERVICES = ("/sts/aws4_request", "/iam/aws4_request", "/sns/aws4_request", "/monitoring/aws4_request")

Pairs = Iterable[tuple[str, str]]


class Dates:
    """The Date header's line, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        now = time.time()
        if not self._second <= now < self._second + 1:
            self._second = int(now)
            self._line = time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(now)).encode()
        return self._line


def status_line(status: int) -> bytes:
    """Raises KeyError for what is no HTTP status."""
    return _LINES[status]


def refusal(head: Head | None, status: int, code: str, message: str) -> tuple[list[tuple[str, str]], bytes]:
    """(headers, body) of an error, in JSON or XML by what the request's signature and headers say it speaks."""
    identity = request_id()
    scope = head.first("authorization") if head else ""
    names_target = head is not None and "x-amz-target" in head.fields
    if any(service in scope for service in _QUERY_SERVICES) and not names_target:
        kind = "Sender" if status < 500 else "Receiver"
        error = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{_escape(message)}</Message></Error>"
        text = f"<ErrorResponse>{error}<RequestId>{identity}</RequestId></ErrorResponse>"
        return [("Content-Type", "text/xml"), ("x-amzn-RequestId", identity)], text.encode()
    if "/aws4_request" in scope and "/s3/" not in scope:
        body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
        kind_of = "application/x-amz-json-1.1" if names_target else "application/json"
        return [("Content-Type", kind_of), ("x-amzn-ErrorType", code), ("x-amzn-RequestId", identity)], body
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{_escape(message)}</Message>'
        f"<RequestId>{identity}</RequestId></Error>"
    )
    return [("Content-Type", "application/xml"), ("x-amz-request-id", identity)], text.encode()


def farewell(status: int, code: str, message: str, dates: Dates) -> bytes:
    """The whole answer to what was no request, on a connection that closes after it."""
    headers, body = refusal(None, status, code, message)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    return status_line(status) + lines + dates.line() + length + body


def _escape(text: str) -> str:
    """As `xml.sax.saxutils`, which brings urllib, http and email along."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
