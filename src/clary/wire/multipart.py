"""Bodies of HTML forms (multipart/form-data, RFC 7578) with one file: fields first, then the file as a stream.

What comes before the file and behind it is bounded, and of the file no more than a piece is ever held.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from clary.errors import ServiceError
from clary.wire.messages import Body

LIMIT = 20 * 1024  # bytes before the file, AWS's; and as many behind it
_FILE = "file"
_PIECE = 256 * 1024
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;",]{1,70}))', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*([A-Za-z]+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*')
_AS_THEY_ARE = frozenset({"7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class Form:
    """`fields` are those before the file, by lower-cased name; `filename` is "" where the file came without one; `file`
    declares no length, and ends only when the whole body has come and was well formed."""

    fields: Mapping[str, str]
    filename: str
    file: Body


def read_form(content_type: str, body: Body) -> Form:
    """Reads up to the file's first byte. Raises ServiceError."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _malformed()
    reader = _Reader(body, (found[1] or found[2]).encode("latin-1"))
    fields: dict[str, str] = {}
    while (part := reader.part()) is not None:
        name, filename = part
        if name == _FILE:
            return Form(fields, filename, FormFile(reader))
        if name in fields:
            raise _malformed(f"The field '{name}' is there more than once.")
        fields[name] = _text(reader.value())
    raise _not_one_file()


class _Reader:
    """A body and what of it was read ahead. A part has to be read to its end before the next one is asked for."""

    def __init__(self, body: Body, boundary: bytes) -> None:
        self._body = body
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # the first delimiter has no line to end
        self._left = LIMIT
        self._until(self._delimiter)

    def part(self) -> tuple[str, str] | None:
        """The name and the file name of the next part; None behind the last."""
        while len(self._buffer) < 2:
            self._fill()
        if self._buffer.startswith(b"--"):
            return None
        if self._until(b"\r\n").strip(b" \t"):
            raise _malformed()
        return _named(_text(self._until(b"\r\n\r\n")))

    def value(self) -> bytes:
        return self._until(self._delimiter)

    def piece(self, size: int) -> bytes:
        """At most `size` bytes of the part; b"" at its end."""
        while True:
            end = self._buffer.find(self._delimiter)
            ready = end if end >= 0 else len(self._buffer) - len(self._delimiter) + 1
            if ready > 0 or end == 0:
                piece = self._buffer[: min(size, ready)]
                self._buffer = self._buffer[len(piece) :]
                return piece
            self._fill()

    def finish(self) -> None:
        """What is behind the file: AWS ignores fields there, and so the body has only to be whole and bounded."""
        self._left = LIMIT
        self.value()
        while (part := self.part()) is not None:
            if part[0] == _FILE:
                raise _not_one_file()
            self.value()
        self._spend(len(self._buffer))
        while rest := self._body.read(_PIECE):
            self._spend(len(rest))

    def _until(self, mark: bytes) -> bytes:
        """What comes before `mark`, which is passed over."""
        while (at := self._buffer.find(mark)) < 0:
            if len(self._buffer) > self._left:
                self._spend(len(self._buffer))
            self._fill()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(mark) :]
        self._spend(at + len(mark))
        return found

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            message = "Your POST request fields preceding the upload file were too large."
            members = {"MaxPostPreDataLengthBytes": LIMIT}
            raise ServiceError("MaxPostPreDataLengthExceededError", message, 400, members)

    def _fill(self) -> None:
        more = self._body.read(_PIECE)
        if not more:
            raise _malformed()
        self._buffer += more


class FormFile:
    """The file of a form: where it ends is known when it has ended."""

    length: int | None = None

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        if self._ended or size == 0:
            return b""
        piece = self._reader.piece(size)
        if not piece:
            self._reader.finish()
            self._ended = True
        return piece


def _named(head: str) -> tuple[str, str]:
    """The lower-cased name and the file name that a part's head gives it."""
    headers = dict(_header(line) for line in head.split("\r\n"))
    kind, _, _ = headers.get("content-disposition", "").partition(";")
    if kind.strip().lower() != "form-data":
        raise _malformed()
    if headers.get("content-transfer-encoding", "binary").lower() not in _AS_THEY_ARE:
        raise _malformed("A part with a Content-Transfer-Encoding is not understood.")
    given = _parameters(headers["content-disposition"][len(kind) :])
    if not given.get("name"):
        raise _malformed()
    return given["name"].lower(), given.get("filename*") or given.get("filename", "")


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise _malformed()
    return name.strip().lower(), value.strip()


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        each = _PARAMETER.match(text, at)
        if each is None or each[1].lower() in found:
            raise _malformed()
        name, quoted = each[1].lower(), each[2]
        value = each[3] if quoted is None else quoted
        found[name] = _extended(value) if name.endswith("*") else _unescaped(value)
        at = each.end()
    return found


def _unescaped(value: str) -> str:
    """Browsers write quotes and line breaks percent-encoded, other clients quotes behind a backslash; a backslash
    before anything else is one of a path."""
    value = value.replace('\\"', '"')
    return value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _extended(value: str) -> str:
    """utf-8''percent-encoded (RFC 5987)."""
    charset, *rest = value.split("'", 2)
    if charset.lower() != "utf-8" or len(rest) != 2:
        raise _malformed()
    return unquote(rest[1], errors="replace")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _malformed("A field is not UTF-8.") from None


def _malformed(reason: str = "") -> ServiceError:
    message = "The body of your POST request is not well-formed multipart/form-data."
    return ServiceError("MalformedPOSTRequest", f"{message} {reason}".rstrip(), 400)


def _not_one_file() -> ServiceError:
    return ServiceError("IncorrectNumberOfFilesInPostRequest", "POST requires exactly one file upload per request.")
