"""Any sequence of operations on a few keys leaves what a dictionary would hold, and no stray bytes."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from api.s3.conftest import MAIN
from api.s3.machine import S3Machine, contents, keys
from clary.errors import ServiceError
from clary.services.s3 import reader
from clary.services.s3.writing import SMALL
from clary.wire.messages import BytesBody
from thorough import examples


class Objects(S3Machine):
    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, bytes] = {}
        self.of_parts: set[str] = set()  # which of them are files of any size
        self.parts: dict[tuple[str, str], dict[int, bytes]] = {}

    @rule(key=keys, data=contents)
    def put(self, key: str, data: bytes) -> None:
        self.call("PutObject", Key=key, Body=BytesBody(data))
        self.model[key] = data
        self.of_parts.discard(key)

    @rule(key=keys, data=contents)
    def put_if_absent(self, key: str, data: bytes) -> None:
        try:
            self.call("PutObject", Key=key, Body=BytesBody(data), IfNoneMatch="*")
            assert key not in self.model
            self.model[key] = data
            self.of_parts.discard(key)
        except ServiceError as error:
            assert (error.code, key in self.model) == ("PreconditionFailed", True)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.call("DeleteObject", Key=key)
        self.model.pop(key, None)

    @rule(chosen=st.lists(keys, min_size=1, max_size=3))
    def delete_many(self, chosen: list[str]) -> None:
        self.call("DeleteObjects", Delete={"Objects": [{"Key": key} for key in chosen]})
        for key in chosen:
            self.model.pop(key, None)

    @rule(source=keys, key=keys)
    def copy(self, source: str, key: str) -> None:
        try:
            self.call("CopyObject", Key=key, CopySource=f"bucket/{source}", MetadataDirective="REPLACE")
            self.model[key] = self.model[source]
            self.of_parts.discard(key)
        except ServiceError as error:
            assert (error.code, source in self.model) == ("NoSuchKey", False)

    @rule(key=keys)
    def begin(self, key: str) -> None:
        upload = self.call("CreateMultipartUpload", Key=key)["UploadId"]
        self.parts[key, upload] = {}

    @rule(data=st.data(), content=contents, number=st.integers(1, 3))
    def send_part(self, data: st.DataObject, content: bytes, number: int) -> None:
        if self.parts:
            key, upload = data.draw(st.sampled_from(list(self.parts)))
            self.call("UploadPart", Key=key, UploadId=upload, PartNumber=number, Body=BytesBody(content))
            self.parts[key, upload][number] = content

    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        ready = [each for each, sent in self.parts.items() if sent]
        if ready:
            key, upload = data.draw(st.sampled_from(ready))
            last = max(self.parts[key, upload])  # parts before the last would have to be of 5 MiB
            sent = {part["PartNumber"]: part["ETag"] for part in self.listed_parts(key, upload)}
            wanted = [{"PartNumber": last, "ETag": sent[last]}]
            self.call("CompleteMultipartUpload", Key=key, UploadId=upload, MultipartUpload={"Parts": wanted})
            self.model[key] = self.parts.pop((key, upload))[last]
            self.of_parts.add(key)

    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        if self.parts:
            key, upload = data.draw(st.sampled_from(list(self.parts)))
            self.call("AbortMultipartUpload", Key=key, UploadId=upload)
            del self.parts[key, upload]

    def listed_parts(self, key: str, upload: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = self.call("ListParts", Key=key, UploadId=upload)["Parts"]
        return parts

    @invariant()
    def contents_agree(self) -> None:
        listed = self.call("ListObjectsV2")["Contents"]
        assert [each["Key"] for each in listed] == sorted(self.model, key=str.encode)
        for key, data in self.model.items():
            size, _etag, pieces = reader.open_object(self.platform, MAIN, "bucket", key)
            assert (size, b"".join(pieces)) == (len(data), data)

    @invariant()
    def no_bytes_are_without_a_name(self) -> None:
        put = [data for key, data in self.model.items() if key not in self.of_parts]
        large = sum(1 for data in put if len(data) > SMALL)
        named = len(self.of_parts & self.model.keys()) + sum(len(sent) for sent in self.parts.values())
        assert self.kept() == (named + large, sum(1 for data in put if 0 < len(data) <= SMALL))


TestObjects = Objects.TestCase
TestObjects.settings = settings(
    max_examples=examples(10), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
