"""Clients that write while a server is killed under them, each to keys of its own, and know what may be there now."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from whole_server import WholeServer

BUCKET = "crash"
VERSIONED = "crash-versions"
PART = 5 << 20
LOST = (ClientError, BotoCoreError)
_PAUSE = (
    0.02  # seconds before the next request of a writer whose last one failed: a server that is away refuses at once
)
_KEPT = 6  # versions of a key, from which on there are more deletions than new ones

Content = bytes | None
"""What a read tells: the SHA-256 of the bytes, or None for nothing (of a version: for a delete marker)."""


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Writer(threading.Thread):
    """One request after the other until `done`: `acknowledged` of them were, of `lost` ones nobody saw the end."""

    def __init__(self, server: WholeServer, number: int) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self._s3 = server.client("s3")
        self._random = random.Random(number)
        self._keys = [f"{number}-{each}" for each in range(5)]
        self.acknowledged = 0
        self.lost = 0
        self.failure: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            while not self.done.is_set():
                self.step(self._random.choice(self._keys))
        except BaseException as error:  # the test's thread raises it
            self.failure = error

    def step(self, key: str) -> None:
        raise NotImplementedError

    def check(self, s3: Any) -> None:
        """That there is what there may be, and nothing else, under this writer's keys."""
        raise NotImplementedError

    def ask(self, request: Callable[..., Any], **given: Any) -> Any:
        """The answer, or None: then it was carried out, or not."""
        try:
            answer = request(**given)
        except LOST:
            self.lost += 1
            self.done.wait(_PAUSE)
            return None
        self.acknowledged += 1
        return answer

    def bytes(self) -> bytes:
        """In the index, or in a file."""
        return self._random.randbytes(self._random.choice([0, 10, 1024, 300_000]))


class Replacing(Writer):
    """Puts, puts in parts, copies and deletes. `possible` holds, for each key, what it may now be: one thing after an
    acknowledged request, more after lost ones."""

    def __init__(self, server: WholeServer, number: int) -> None:
        super().__init__(server, number)
        self.possible: dict[str, list[Content]] = {key: [None] for key in self._keys}

    def step(self, key: str) -> None:
        step = self._random.random()
        this = {"Bucket": BUCKET, "Key": key}
        if step < 0.2:
            self._change(key, None, self._s3.delete_object, **this)
        elif step < 0.25:
            data = self._random.randbytes(64) * (PART // 64) + b"the second part"
            self._change(key, digest(data), self._in_parts, this=this, data=data)
        else:
            data = self.bytes()
            self._change(key, digest(data), self._s3.put_object, **this, Body=data)

    def _change(self, key: str, new: Content, request: Callable[..., Any], **given: Any) -> None:
        self.possible[key].append(new)
        if self.ask(request, **given):
            self.possible[key] = [new]

    def _in_parts(self, this: dict[str, Any], data: bytes) -> Any:
        this = this | {"UploadId": self._s3.create_multipart_upload(**this)["UploadId"]}
        sent = [
            {"PartNumber": number, "ETag": self._s3.upload_part(**this, PartNumber=number, Body=piece)["ETag"]}
            for number, piece in enumerate((data[:PART], data[PART:]), 1)
        ]
        return self._s3.complete_multipart_upload(**this, MultipartUpload={"Parts": sent})

    def check(self, s3: Any) -> None:
        there = {each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        for key, possible in self.possible.items():
            content = digest(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) if key in there else None
            assert content in possible, f"{key} is none of the {len(possible)} things that it may be"
            if content is None:
                assert nothing(s3, Bucket=BUCKET, Key=key)


@dataclass
class History:
    """Versions of one key, oldest first, as far as a writer was told of them."""

    known: dict[str, Content] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)  # of them, those whose deletion was lost
    lost: list[Content] = field(default_factory=list)  # may be there, each once at most, under identifiers nobody knows
    deleted: set[str] = field(default_factory=set)


class Versioning(Writer):
    """Puts, deletes by marker and deletes single versions, in a bucket with versions."""

    def __init__(self, server: WholeServer, number: int) -> None:
        super().__init__(server, number)
        self.histories = {key: History() for key in self._keys}

    def step(self, key: str) -> None:
        history = self.histories[key]
        if history.known and self._random.random() < len(history.known) / (2 * _KEPT):
            self._delete_version(key, history, self._random.choice(list(history.known)))
        elif self._random.random() < 0.2:
            self._enter(history, None, self._s3.delete_object, Bucket=VERSIONED, Key=key)
        else:
            data = self.bytes()
            self._enter(history, digest(data), self._s3.put_object, Bucket=VERSIONED, Key=key, Body=data)

    def _enter(self, history: History, new: Content, request: Callable[..., Any], **given: Any) -> None:
        if answer := self.ask(request, **given):
            history.known[answer["VersionId"]] = new
        else:
            history.lost.append(new)

    def _delete_version(self, key: str, history: History, version: str) -> None:
        history.doubtful.add(version)
        if self.ask(self._s3.delete_object, Bucket=VERSIONED, Key=key, VersionId=version):
            history.doubtful.discard(version)
            history.deleted.add(version)
            del history.known[version]

    def check(self, s3: Any) -> None:
        for key, history in self.histories.items():
            found = dict(versions(s3, key))
            assert history.known.keys() - history.doubtful <= found.keys(), f"versions of {key} are lost"
            assert not found.keys() & history.deleted, f"deleted versions of {key} are back"
            told = [version for version in found if version in history.known]
            assert all(found[version] == history.known[version] for version in told)
            for markers in (False, True):  # boto3 lists them apart
                shown = [version for version in told if (found[version] is None) is markers]
                assert shown == [version for version in reversed(history.known) if version in shown]
            left = list(history.lost)
            for version in found.keys() - history.known.keys():
                left.remove(found[version])  # ValueError: nobody has written it, or not that often
            assert all(nothing(s3, Bucket=VERSIONED, Key=key, VersionId=each) for each in sorted(history.deleted)[:5])


def versions(s3: Any, key: str) -> Iterator[tuple[str, Content]]:
    """Of a key: (identifier, content), the newest first of those with bytes, and so of delete markers."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=VERSIONED, Prefix=key)
    listed = [each for page in pages for name in ("Versions", "DeleteMarkers") for each in page.get(name, [])]
    assert sum(each["IsLatest"] for each in listed) == bool(listed)
    for each in listed:
        this = {"Bucket": VERSIONED, "Key": key, "VersionId": each["VersionId"]}
        yield each["VersionId"], digest(s3.get_object(**this)["Body"].read()) if "ETag" in each else None


def nothing(s3: Any, **given: Any) -> bool:
    """Whether there is no such object, or version of one."""
    try:
        s3.head_object(**given)
    except ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 404)
    return False
