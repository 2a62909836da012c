"""Any sequence of operations on keys that look like something else leaves what a dictionary would hold: each key is its
bytes and nothing more, in a bucket with versions as in one without, and never the name of a file."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from whole_server import WholeServer

MARK = "hostile-key"  # nothing else has this in its name
LONGEST = 1024  # bytes of UTF-8
KEYS = [
    "..",
    ".",
    f"../../{MARK}",
    f"/tmp/{MARK}",
    f"a/../{MARK}",
    f"./{MARK}/",
    "/",
    "//",
    f"//{MARK}",
    f"{MARK}//x",
    "%2f",
    "%2F..%2f",
    "/%2e%2e/",
    "%",
    "+ +",
    "\0",
    f"{MARK}\0.txt",
    "\r\n",
    "Key",
    "key",
    "KEY",
    "ß",
    "SS",
    "é",
    "e\u0301",
    "\uff5e",
    "\U00010400",  # beyond the BMP: before U+FF5E in UTF-16, behind it in UTF-8
    "\U00010428",  # its other case
    "x" * LONGEST,
    "\U0001f642" * (LONGEST // 4),
    "?versions",
    "?uploads&max-keys=0",
    "endpoints/x/invocations",
    "_clary/health",
    "robots.txt#top",
    "'; DROP TABLE objects; --",
]
keys = st.sampled_from(KEYS)
bodies = st.binary(max_size=20)
prefixes = st.sampled_from(["", "/", "..", "k", "%2", MARK, "\0", "\U00010400", "nobody's"])


class HostileKeys(RuleBasedStateMachine):
    """`model` holds the contents of each key, the newest first; None is a delete marker."""

    numbers = itertools.count()

    def __init__(self, s3: Any) -> None:
        super().__init__()
        self.s3, self.bucket = s3, f"{MARK}s-{next(self.numbers)}"
        self.model: dict[str, list[bytes | None]] = {}
        self.versions = False
        s3.create_bucket(Bucket=self.bucket)

    @initialize(versions=st.booleans())
    def begin(self, versions: bool) -> None:
        self.versions = versions
        if versions:
            self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def enter(self, key: str, content: bytes | None) -> None:
        self.model[key] = [content, *(self.model.get(key, []) if self.versions else [])]

    def current(self) -> dict[str, bytes]:
        return {key: history[0] for key, history in self.model.items() if history[0] is not None}

    @rule(key=keys, data=bodies)
    def put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        self.enter(key, data)

    @rule(key=keys, source=keys)
    def copy(self, key: str, source: str) -> None:
        given = {"CopySource": {"Bucket": self.bucket, "Key": source}, "MetadataDirective": "REPLACE"}
        try:
            self.s3.copy_object(Bucket=self.bucket, Key=key, **given)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]  # XML that names a NUL is not read by boto3
            assert (status, source in self.current()) == (404, False)
        else:
            self.enter(key, self.current()[source])

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)
        if self.versions:
            self.enter(key, None)
        else:
            self.model.pop(key, None)

    @rule(key=keys)
    def read(self, key: str) -> None:
        this, content = {"Bucket": self.bucket, "Key": key}, self.current().get(key)
        if content is None:
            for ask in (self.s3.get_object, self.s3.head_object):
                with pytest.raises(ClientError) as caught:
                    ask(**this)
                assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        else:
            assert self.s3.get_object(**this)["Body"].read() == content
            assert self.s3.head_object(**this)["ContentLength"] == len(content)

    @rule(prefix=prefixes, size=st.integers(1, 4))
    def list_a_prefix(self, prefix: str, size: int) -> None:
        found: list[str] = []
        given = {"Bucket": self.bucket, "Prefix": prefix, "Delimiter": "/", "PaginationConfig": {"PageSize": size}}
        for page in self.s3.get_paginator("list_objects_v2").paginate(**given):
            found += [each["Key"] for each in page.get("Contents", [])]
            found += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        rests = [(key, key[len(prefix) :]) for key in self.current() if key.startswith(prefix)]
        wanted = {prefix + rest.partition("/")[0] + "/" if "/" in rest else key for key, rest in rests}
        assert sorted(found) == sorted(wanted)

    @invariant()
    def listings_agree(self) -> None:
        wanted = sorted(self.current(), key=str.encode)
        for listing in (self.s3.list_objects, self.s3.list_objects_v2):
            assert [each["Key"] for each in listing(Bucket=self.bucket).get("Contents", [])] == wanted
        answer = self.s3.list_object_versions(Bucket=self.bucket)
        for name, markers in (("Versions", False), ("DeleteMarkers", True)):
            listed = [(each["Key"], each["IsLatest"]) for each in answer.get(name, [])]
            assert listed == [
                (key, at == 0)
                for key in sorted(self.model, key=str.encode)
                for at, content in enumerate(self.model[key])
                if (content is None) is markers
            ]


def test_keys_are_their_bytes_and_no_names_of_files(server: WholeServer) -> None:
    s3 = server.client("s3")
    run_state_machine_as_test(  # type: ignore[no-untyped-call] # hypothesis has no types for it
        lambda: HostileKeys(s3),
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # requests are too slow to shrink with
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert next(HostileKeys.numbers) > 2
    assert not list(server.home.rglob(f"*{MARK}*"))
    assert not [place for place in (*server.home.parents, Path("/tmp")) if (place / MARK).exists()]


def test_a_key_of_more_bytes_is_refused(server: WholeServer) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=f"{MARK}s-refused")
    for key in ("x" * (LONGEST + 1), "\U0001f642" * (LONGEST // 4) + "x"):
        with pytest.raises(ClientError, match="KeyTooLongError"):
            s3.put_object(Bucket=f"{MARK}s-refused", Key=key, Body=b"")
