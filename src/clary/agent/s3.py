"""The agent's S3 client: what staging and collecting need, and patience with a server that is away. Standard library
only.

A connection that cannot be made or breaks is tried again for as long as the instance is wanted; an answer of 5xx or 429
is tried again a number of times; a body that breaks off is continued where it ended.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from urllib.parse import unquote_plus, urlsplit

from clary.agent.reading import Reader
from clary.agent.refusals import S3Error
from clary.agent.sending import PIECE, Payload, Sender, Slice, Whole, digest
from clary.agent.sigv4 import EMPTY, path_of, query_of, sign
from clary.contract.instance import Credentials

_PART = 64 * 1024 * 1024  # bytes in a part of a multipart upload
_TIMEOUT = 60.0  # seconds without a byte
_ATTEMPTS = 8  # answers of 5xx in a row before it is given up
_LONGEST_PAUSE = 2.0
_ENCRYPTION = "x-amz-server-side-encryption"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "RequestExpired")


class Unwanted(Exception):
    """The instance was stopped while a transfer ran or waited."""


@dataclass(frozen=True, slots=True)
class Object:
    key: str
    size: int


def split_uri(uri: str) -> tuple[str, str]:
    """(bucket, key or prefix) of `s3://bucket/key`. Raises ValueError."""
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise ValueError(f"{uri!r} is not an S3 URI")
    return bucket, key


class S3:
    """endpoint() is the server's base URL at the moment; credentials(refresh) gives the role session, a new one when
    `refresh`; wanted() says whether to go on; `kms_key` is what uploads are encrypted under ("" for what
    their bucket is set to), `authorities` as in `elsewhere.ask`. One object is used by several threads: every request
    has a connection of its own."""

    def __init__(
        self,
        endpoint: Callable[[], str],
        region: str,
        credentials: Callable[[bool], Credentials],
        wanted: Callable[[], bool],
        kms_key: str = "",
        authorities: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._region = region
        self._credentials = credentials
        self._wanted = wanted
        self._kms_key = kms_key
        self.authorities = authorities
        self._sender = Sender(self)

    def list(self, bucket: str, prefix: str) -> Iterator[Object]:
        """Every object under the prefix, in key order."""
        token = ""
        while True:
            query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
            if token:
                query["continuation-token"] = token
            tree = ET.fromstring(self.whole("GET", bucket, "", query)[1])
            for item in tree.iterfind("{*}Contents"):
                key = unquote_plus(item.findtext("{*}Key", ""))
                yield Object(key, int(item.findtext("{*}Size", "0")))
            token = tree.findtext("{*}NextContinuationToken", "")
            if not token:
                return

    def read(self, bucket: str, key: str) -> Reader:
        """The object's bytes as a stream."""
        return Reader(self, bucket, key)

    def download(self, bucket: str, key: str, target: Path) -> None:
        with self.read(bucket, key) as source, target.open("wb") as file:
            while piece := source.read(PIECE):
                file.write(piece)

    def upload(self, source: Path, bucket: str, key: str) -> None:
        """Puts a file, in parts when it is large; nothing of it is visible before it is complete."""
        size = source.stat().st_size
        with source.open("rb") as file:
            if size <= _PART:
                self._sender.put(bucket, key, {}, Slice(file, 0, size))
            else:
                self._upload_parts(file, size, bucket, key)

    def _upload_parts(self, file: BinaryIO, size: int, bucket: str, key: str) -> None:
        part = max(_PART, -(-size // 10_000))
        tree = ET.fromstring(self.whole("POST", bucket, key, {"uploads": ""})[1])
        upload = tree.findtext("{*}UploadId", "")
        listing = ET.Element("CompleteMultipartUpload")
        for number, at in enumerate(range(0, size, part), start=1):
            query = {"partNumber": str(number), "uploadId": upload}
            tag = self._sender.put(bucket, key, query, Slice(file, at, min(part, size - at)))
            entry = ET.SubElement(listing, "Part")
            ET.SubElement(entry, "PartNumber").text = str(number)
            ET.SubElement(entry, "ETag").text = tag
        self.whole("POST", bucket, key, {"uploadId": upload}, Whole(ET.tostring(listing)))

    def whole(
        self,
        method: str,
        bucket: str,
        key: str,
        query: dict[str, str],
        body: Payload | None = None,
        extra: Mapping[str, str] = NO_HEADERS,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """As `exchange`, with the answer's body, which may have to be asked for again."""
        while True:
            try:
                answer = self.exchange(method, bucket, key, query, body, extra)
                return answer, answer.read()
            except (http.client.HTTPException, OSError):  # broke off within the answer
                self.pause(_LONGEST_PAUSE / 10)

    def exchange(
        self,
        method: str,
        bucket: str,
        key: str,
        query: dict[str, str],
        body: Payload | None = None,
        extra: Mapping[str, str] = NO_HEADERS,
    ) -> http.client.HTTPResponse:
        """An answer of 2xx, or of 307 for who asked for that, whose body is still to be read. `extra` are headers, in
        lower case. Raises S3Error, Unwanted."""
        refused, pause, refresh = 0, 0.05, False
        while True:
            try:
                return self._once(method, bucket, key, query, body, extra, refresh)
            except S3Error as error:
                refused += 1
                again = error.status >= 500 or error.status == 429 or error.code in _EXPIRED
                if not again or refused >= _ATTEMPTS or (refresh and error.code in _EXPIRED):
                    raise
                refresh = error.code in _EXPIRED
            except (http.client.HTTPException, OSError):
                refresh = False
            self.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _once(
        self,
        method: str,
        bucket: str,
        key: str,
        query: dict[str, str],
        body: Payload | None,
        extra: Mapping[str, str],
        refresh: bool,
    ) -> http.client.HTTPResponse:
        path, text = path_of(bucket, key), query_of(query)
        hashed = digest(body, hashlib.sha256).hex() if body else EMPTY
        credentials = self._credentials(refresh)
        address = urlsplit(self._endpoint())
        sent = {"host": address.netloc, **self._encryption(method, query), **extra}
        headers = sign(method, sent, path, text, hashed, credentials, self._region, time.time())
        headers["content-length"] = str(body.size if body else 0)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT)
        connection.request(method, f"{path}?{text}" if text else path, body.pieces() if body else None, headers)
        answer = connection.getresponse()
        if answer.status >= 300 and answer.status != http.client.TEMPORARY_REDIRECT:
            raise _refusal(answer)
        return answer

    def _encryption(self, method: str, query: Mapping[str, str]) -> Mapping[str, str]:
        """The headers that say so, for the requests that begin a new object."""
        begins = "uploads" in query or (method == "PUT" and "partNumber" not in query)
        if not (begins and self._kms_key):
            return {}
        return {_ENCRYPTION: "aws:kms", f"{_ENCRYPTION}-aws-kms-key-id": self._kms_key}

    def pause(self, seconds: float) -> None:
        """Raises Unwanted when the instance is not wanted any more."""
        end = time.monotonic() + seconds
        while True:
            if not self._wanted():
                raise Unwanted
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))


def _refusal(answer: http.client.HTTPResponse) -> S3Error:
    text = answer.read(65536)
    try:
        tree = ET.fromstring(text)
        code, message = tree.findtext("Code", ""), tree.findtext("Message", "")
    except ET.ParseError:
        code, message = "", ""
    return S3Error(code or f"HTTP{answer.status}", message or answer.reason, answer.status)
