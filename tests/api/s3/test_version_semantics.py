"""Any sequence of operations on a bucket with versions, or one that had them, leaves the histories that it should."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from api.s3.machine import S3Machine, contents, keys
from clary.errors import ServiceError
from clary.services.s3.writing import SMALL
from clary.wire.messages import BytesBody
from thorough import examples

Version = tuple[str, bytes | None]  # identifier; bytes, None for a delete marker


class Versions(S3Machine):
    def __init__(self) -> None:
        super().__init__()
        self.status = ""
        self.model: dict[str, list[Version]] = {}  # of each key the newest first

    @rule(status=st.sampled_from(["Enabled", "Suspended"]))
    def switch(self, status: str) -> None:
        self.call("PutBucketVersioning", VersioningConfiguration={"Status": status})
        self.status = status

    @rule(key=keys, data=contents)
    def put(self, key: str, data: bytes) -> None:
        self._enter(key, self.call("PutObject", Key=key, Body=BytesBody(data)), data)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        done = self.call("DeleteObject", Key=key)
        if self.status:
            assert done["DeleteMarker"] is True
            self._enter(key, done, None)
        else:
            self.model.pop(key, None)

    def _enter(self, key: str, done: dict[str, Any], data: bytes | None) -> None:
        """A new version: in place of the "null" one where the bucket gives no identifiers."""
        version = done.get("VersionId", "null")
        assert (version == "null") == (self.status != "Enabled")
        others = [each for each in self.model.get(key, []) if each[0] != "null" or version != "null"]
        self.model[key] = [(version, data), *others]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete_version(self, data: st.DataObject) -> None:
        key, (version, content) = self._draw(data)
        done = self.call("DeleteObject", Key=key, VersionId=version)
        assert done.get("DeleteMarker", False) is (content is None)
        self.model[key] = [each for each in self.model[key] if each[0] != version]
        if not self.model[key]:
            del self.model[key]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), to=keys)
    def copy_version(self, data: st.DataObject, to: str) -> None:
        key, (version, content) = self._draw(data)
        source = f"bucket/{key}?versionId={version}"
        try:
            done = self.call("CopyObject", Key=to, CopySource=source, MetadataDirective="REPLACE")
            assert content is not None
            self._enter(to, done, content)
        except ServiceError as error:
            assert (error.code, content) == ("MethodNotAllowed", None)

    def _draw(self, data: st.DataObject) -> tuple[str, Version]:
        key = data.draw(st.sampled_from(sorted(self.model)))
        return key, data.draw(st.sampled_from(self.model[key]))

    @invariant()
    def the_listing_agrees(self) -> None:
        answer = self.call("ListObjectVersions")
        listed = {(each["Key"], each["VersionId"]): each["IsLatest"] for each in answer["Versions"]}
        markers = {(each["Key"], each["VersionId"]): each["IsLatest"] for each in answer["DeleteMarkers"]}
        wanted: list[dict[tuple[str, str], bool]] = [{}, {}]
        for key, history in self.model.items():
            for at, (version, content) in enumerate(history):
                wanted[content is None][key, version] = at == 0
        assert [listed, markers] == wanted
        for key, history in self.model.items():
            shown = [each["VersionId"] for each in answer["Versions"] if each["Key"] == key]
            assert shown == [version for version, content in history if content is not None]

    @invariant()
    def pages_are_parts_of_the_listing(self) -> None:
        found: set[tuple[str, str]] = set()
        markers: dict[str, str] = {}
        while True:
            answer = self.call("ListObjectVersions", MaxKeys=2, **markers)
            page = [(each["Key"], each["VersionId"]) for each in (*answer["Versions"], *answer["DeleteMarkers"])]
            assert len(page) <= 2
            assert found.isdisjoint(page)
            found.update(page)
            if not answer["IsTruncated"]:
                break
            markers = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer["NextVersionIdMarker"]}
        assert found == {(key, version) for key, history in self.model.items() for version, _ in history}

    @invariant()
    def what_is_current_agrees(self) -> None:
        current = {key: history[0][1] for key, history in self.model.items() if history[0][1] is not None}
        assert [each["Key"] for each in self.call("ListObjectsV2")["Contents"]] == sorted(current, key=str.encode)
        for key, data in current.items():
            assert self._read(key) == data

    @invariant()
    def every_version_can_be_read(self) -> None:
        for key, history in self.model.items():
            for version, content in history:
                if content is not None:
                    assert self._read(key, VersionId=version) == content

    def _read(self, key: str, **given: str) -> bytes:
        body = self.call("GetObject", Key=key, **given)["Body"]
        return body if isinstance(body, bytes) else b"".join(body)

    @invariant()
    def no_bytes_are_without_a_name(self) -> None:
        kept = [data for history in self.model.values() for _, data in history if data]
        large = sum(1 for data in kept if len(data) > SMALL)
        assert self.kept() == (large, len(kept) - large)


TestVersions = Versions.TestCase
TestVersions.settings = settings(
    max_examples=examples(15), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
