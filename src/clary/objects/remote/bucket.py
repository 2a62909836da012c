"""Requests to the bucket of another S3-compatible store, by botocore: bounded in tries, time and connections."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session
from urllib3.exceptions import HTTPError

from clary.objects.base import Unavailable
from clary.objects.remote.place import Place

_CONNECT = 3.0  # seconds
PATIENCE = 15.0  # seconds without a byte: one request takes twice that of a store that hangs
_ATTEMPTS = 2
_CONNECTIONS = 64  # that are kept
_AWAY = 2.0  # seconds for which a store that did not answer is not asked again
_LOG = logging.getLogger(__name__)

STREAM_ERRORS = (BotoCoreError, HTTPError, OSError)  # of reading an answer's body


class Refused(Exception):
    """The store answered, and not as it should: `code` is S3's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Listed:
    """A key and its age in seconds by the store's own clock."""

    key: str
    age: float


@dataclass(frozen=True, slots=True)
class Head:
    """What the store says of an object: its bytes, its ETag without quotes, whether it encrypted it with a KMS key."""

    size: int
    tag: str
    under_a_key: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload: str
    age: float


class Bucket:
    """Every method raises Unavailable when the store does not answer, FileNotFoundError when it has no such key or
    upload, OSError(ENOSPC) when it is full, Refused for its other errors. What is sent, the store checks: by its
    MD5 or, over plain HTTP, by the SHA-256 that is signed then. `patience`: for how many seconds it may say nothing."""

    def __init__(self, place: Place, patience: float = PATIENCE) -> None:
        self._bucket = place.bucket
        self._client = _client(place, patience)
        self._signs_bodies = place.endpoint.startswith("http:")
        self._away = 0.0  # until when it is not asked, on the monotonic clock

    def put(self, key: str, data: bytes) -> None:
        with self._asking():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, **self._proof(data))

    def put_new(self, key: str, data: bytes) -> bool:
        """False when there is something under the key, where the store understands that condition."""
        try:
            with self._asking():
                self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*")
        except Refused as error:
            if error.code == "PreconditionFailed":
                return False
            if error.code != "NotImplemented":
                raise
            self.put(key, data)
        return True

    def begin(self, key: str) -> str:
        with self._asking():
            return str(self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"])

    def part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Sends a part; returns its ETag."""
        which = {"Bucket": self._bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        with self._asking():
            return str(self._client.upload_part(**which, Body=data, **self._proof(data))["ETag"])

    def complete(self, key: str, upload: str, tags: Sequence[str], size: int) -> None:
        """Makes the object of its parts, `size` bytes in all."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
        try:
            with self._asking():
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
                )
        except FileNotFoundError:  # an earlier try may have done it, and only its answer was lost
            if self.head(key).size != size:
                raise

    def abort(self, key: str, upload: str) -> None:
        """Unknown uploads are fine."""
        with contextlib.suppress(FileNotFoundError), self._asking():
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> tuple[int, Any]:
        """(how many bytes come, a stream of them: `read(size)` raises STREAM_ERRORS, `close`)."""
        end = "" if length is None else offset + length - 1
        span = {"Range": f"bytes={offset}-{end}"} if offset or length is not None else {}
        try:
            with self._asking():
                found = self._client.get_object(Bucket=self._bucket, Key=key, **span)
        except Refused as error:
            if error.code == "InvalidRange":  # it ends before `offset`
                return 0, _Nothing()
            raise
        return int(found["ContentLength"]), found["Body"]

    def url(self, key: str, seconds: int) -> str:
        """Presigned, for GET; asks nobody."""
        which = {"Bucket": self._bucket, "Key": key}
        return str(self._client.generate_presigned_url("get_object", Params=which, ExpiresIn=seconds))

    def url_to_put(self, key: str, md5: str, seconds: int) -> str:
        """Presigned, for one PUT of what has that MD5 (hexadecimal), while there is nothing under the key; asks nobody.
        Both are among the headers that it signs."""
        which = {"Bucket": self._bucket, "Key": key, "IfNoneMatch": "*", "ContentMD5": _text(bytes.fromhex(md5))}
        return str(self._client.generate_presigned_url("put_object", Params=which, ExpiresIn=seconds))

    def head(self, key: str) -> Head:
        with self._asking():
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        under_a_key = str(found.get("ServerSideEncryption", "")).startswith("aws:kms")
        return Head(int(found["ContentLength"]), str(found["ETag"]).strip('"'), under_a_key)

    def delete(self, keys: Sequence[str]) -> list[str]:
        """At most 1,000 at once; returns why some were not. Unknown keys are fine."""
        wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        with self._asking():
            answer = self._client.delete_objects(Bucket=self._bucket, Delete=wanted)
        return [f"{each.get('Key')}: {each.get('Code')}" for each in answer.get("Errors", [])]

    def list(self, prefix: str) -> Iterator[list[Listed]]:
        """What there is below the prefix, a page at a time."""
        for page in self._pages("list_objects_v2", prefix):
            now = _clock(page)
            yield [Listed(each["Key"], now - each["LastModified"].timestamp()) for each in page.get("Contents", [])]

    def uploads(self, prefix: str) -> Iterator[Begun]:
        for page in self._pages("list_multipart_uploads", prefix):
            now = _clock(page)
            for each in page.get("Uploads", []):
                yield Begun(each["Key"], each["UploadId"], now - each["Initiated"].timestamp())

    def _proof(self, data: bytes) -> dict[str, str]:
        return {} if self._signs_bodies else {"ContentMD5": _md5(data)}

    def _pages(self, operation: str, prefix: str) -> Iterator[dict[str, Any]]:
        pages = iter(self._client.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=prefix))
        while True:
            with self._asking():
                page = next(pages, None)
            if page is None:
                return
            yield page

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        if time.monotonic() < self._away:
            raise Unavailable("it did not answer a moment ago")
        try:
            yield
        except ClientError as error:
            raise _refusal(error) from error
        except (BotoCoreError, OSError) as error:
            self._away = time.monotonic() + _AWAY
            _LOG.warning("the store of objects does not answer: %s", error)
            raise Unavailable(str(error)) from error


class _Nothing:
    """The stream of no bytes."""

    def read(self, _size: int = -1) -> bytes:
        return b""

    def close(self) -> None: ...


def _client(place: Place, patience: float) -> Any:
    """Of what the place says alone: nothing of AWS_* variables, of files in a home folder, of proxies."""
    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    session = Session(session_vars={**nowhere, "profile": (None, None, None, None)})
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "connect_timeout": _CONNECT,
        "read_timeout": patience,
        "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
        "max_pool_connections": _CONNECTIONS,
        "proxies": {},
        "s3": {"addressing_style": place.addressing},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "ignore_configured_endpoint_urls": True,
    }
    client = session.create_client(
        "s3",
        region_name=place.region,
        endpoint_url=place.endpoint or None,
        aws_access_key_id=place.access_key,
        aws_secret_access_key=place.secret_key,
        aws_session_token=place.session_token or None,
        verify=place.ca_bundle or True,
        config=Config(**options),
    )
    client.meta.events.register("before-call.s3.DeleteObjects", _with_md5)
    return client


def _with_md5(params: dict[str, Any], **_: Any) -> None:
    """Stores that are older than the other checksums ask for this one."""
    params["headers"]["Content-MD5"] = _md5(params["body"])


def _md5(data: bytes) -> str:
    return _text(hashlib.md5(data, usedforsecurity=False).digest())


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _clock(answer: dict[str, Any]) -> float:
    """The store's time of an answer, epoch seconds: its clock may be another than ours."""
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(said).timestamp() if said else time.time()


def _refusal(error: ClientError) -> Exception:
    said = error.response.get("Error", {})
    code, status = said.get("Code", ""), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in ("NoSuchKey", "NoSuchUpload", "404"):
        return FileNotFoundError(errno.ENOENT, "the store has no such key or upload")
    if status == 507:
        return OSError(errno.ENOSPC, "the store of objects is full")
    if (status >= 500 and code != "NotImplemented") or status == 429:
        _LOG.warning("the store of objects failed: %s", error)
        return Unavailable(str(error))
    return Refused(code, said.get("Message", ""))
