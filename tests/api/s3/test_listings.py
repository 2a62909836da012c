"""Listings: order, prefixes, delimiters, pages, tokens, encoding; checked against a plain computation."""

from __future__ import annotations

import random
from typing import Any

import pytest

from api.s3.faults import refused
from clary.services.s3 import index, listings
from clary.services.s3.index import Entry

KEYS = ["a", "a/", "a/1", "a/b/1", "a/b/2", "a0", "b/", "b//x", "b/c", "é/1", "é/2", "z+ %", "\x01c"]


@pytest.fixture
def full(s3: Any) -> str:
    """A bucket with KEYS, which the tests only read."""
    name = "full-of-keys"
    s3.create_bucket(Bucket=name)
    if s3.list_objects_v2(Bucket=name)["KeyCount"] < len(KEYS):
        for key in KEYS:
            s3.put_object(Bucket=name, Key=key, Body=key.encode())
    return name


def expected(keys: list[str], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """(keys, common prefixes) of a whole listing."""
    alone, rolled = [], []
    for key in sorted((key for key in keys if key.startswith(prefix)), key=str.encode):
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            alone.append(key)
        elif key[: at + len(delimiter)] not in rolled:
            rolled.append(key[: at + len(delimiter)])
    return alone, rolled


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("prefix", "delimiter"),
    [("", ""), ("", "/"), ("a/", "/"), ("a", "/"), ("b/", "/"), ("b", "//"), ("none", "/"), ("é", "/"), ("a/b/", "")],
)
def test_pages_add_up_to_the_listing(
    s3: Any, full: str, operation: str, size: int, prefix: str, delimiter: str
) -> None:
    paginator = s3.get_paginator(operation)
    pages = list(
        paginator.paginate(Bucket=full, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size})
    )
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    prefixes = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
    assert (keys, prefixes) == expected(KEYS, prefix, delimiter)
    counts = [len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) for page in pages]
    assert max(counts) <= size
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]


def test_what_is_listed_of_an_object(s3: Any, bucket: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"abc", StorageClass="STANDARD_IA")
    (shown,) = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
    assert (shown["Size"], shown["ETag"], shown["StorageClass"]) == (3, put["ETag"], "STANDARD_IA")
    assert shown["Owner"] == s3.list_buckets()["Owner"]
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]


def test_start_after_and_marker(s3: Any, full: str) -> None:
    order = sorted(KEYS, key=str.encode)
    assert [e["Key"] for e in s3.list_objects_v2(Bucket=full, StartAfter="a/1")["Contents"]] == order[
        order.index("a/1") + 1 :
    ]
    assert s3.list_objects_v2(Bucket=full, StartAfter="zzz", Prefix="a")["KeyCount"] == 0
    first = s3.list_objects(Bucket=full, Delimiter="/", MaxKeys=3)
    assert first["NextMarker"] == "a/"
    assert s3.list_objects(Bucket=full, Delimiter="/", Marker="a/", MaxKeys=1)["Contents"][0]["Key"] == "a0"


def test_no_keys_asked_no_keys_given(s3: Any, full: str) -> None:
    empty = s3.list_objects_v2(Bucket=full, MaxKeys=0)
    assert (empty["KeyCount"], empty["IsTruncated"]) == (0, False)
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=full, MaxKeys=-1)


def test_tokens_are_good_for_their_listing_alone(s3: Any, full: str) -> None:
    token = s3.list_objects_v2(Bucket=full, MaxKeys=1, Prefix="a")["NextContinuationToken"]
    assert s3.list_objects_v2(Bucket=full, Prefix="a", ContinuationToken=token)["KeyCount"] == 5
    for wrong in (
        {"ContinuationToken": token},
        {"ContinuationToken": token, "Prefix": "a", "Delimiter": "/"},
        {"ContinuationToken": token[:-4] + "AAA=", "Prefix": "a"},
        {"ContinuationToken": "no token", "Prefix": "a"},
    ):
        with refused("InvalidArgument", 400):
            s3.list_objects_v2(Bucket=full, **wrong)


def test_encoding_is_on_demand(s3: Any, full: str) -> None:
    plain = s3.list_objects_v2(Bucket=full, Prefix="z", EncodingType="url")
    assert [each["Key"] for each in plain["Contents"]] == ["z%2B%20%25"]
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=full, EncodingType="rot13")


def fill(server: Any, bucket: str, keys: list[bytes]) -> None:
    def work(connection: Any) -> None:
        for key in keys:
            index.put(connection, Entry(bucket, key, 0, "e", 1.0, blob="none"))

    server.platform.stores.objects.write(work)


def test_rolled_up_keys_are_skipped_by_a_seek(server: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 prefixes of 2,000 keys each must not be read key by key."""
    fill(server, bucket, [b"%d/%05d" % (prefix, number) for prefix in range(3) for number in range(2000)])
    scans: list[list[listings.Listed]] = []

    def scan(*given: Any) -> list[listings.Listed]:
        scans.append(real(*given))
        return scans[-1]

    real = listings.scan
    monkeypatch.setattr(listings, "scan", scan)
    page = server.platform.stores.objects.read(
        lambda connection: listings.page(connection, bucket, b"", b"/", b"", 1000)
    )
    assert (page.entries, page.prefixes, page.last) == ([], [b"0/", b"1/", b"2/"], None)
    assert len(scans) == 4
    assert sum(map(len, scans)) == 3


def test_random_listings_agree_with_a_plain_computation(server: Any, bucket: str) -> None:
    dice = random.Random(11)
    letters = ["a", "b", "/", "//", "é", "\x7f"]
    keys = sorted({"".join(dice.choice(letters) for _ in range(dice.randrange(1, 7))) for _ in range(700)})
    fill(server, bucket, [key.encode() for key in keys])
    for _ in range(60):
        prefix = "".join(dice.choice(letters) for _ in range(dice.randrange(3)))
        delimiter, size = dice.choice(["", "/", "a", "//"]), dice.randrange(1, 90)
        alone: list[str] = []
        rolled: list[str] = []
        after: bytes | None = b""
        while after is not None:
            page = server.platform.stores.objects.read(
                lambda connection, after=after, prefix=prefix, delimiter=delimiter, size=size: listings.page(
                    connection, bucket, prefix.encode(), delimiter.encode(), after, size
                )
            )
            alone += [each.key.decode() for each in page.entries]
            rolled += [each.decode() for each in page.prefixes]
            after = page.last
        assert (alone, rolled) == expected(keys, prefix, delimiter)


def test_versions_of_an_unversioned_bucket(s3: Any, full: str) -> None:
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=full, PaginationConfig={"PageSize": 5})
    shown = [each for page in pages for each in page["Versions"]]
    assert [each["Key"] for each in shown] == sorted(KEYS, key=str.encode)
    assert {(each["VersionId"], each["IsLatest"]) for each in shown} == {("null", True)}
    rolled = s3.list_object_versions(Bucket=full, Delimiter="/", Prefix="a")
    assert [each["Key"] for each in rolled["Versions"]] == ["a", "a0"]
    assert [each["Prefix"] for each in rolled["CommonPrefixes"]] == ["a/"]
