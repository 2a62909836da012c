"""The object store in another S3-compatible store keeps the contract, over each of the stores that there are here."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clary.agent import elsewhere
from clary.objects.base import Lent, Lost, Unavailable
from clary.objects.encrypted import Cipher
from clary.objects.filesystem import FilesystemStore
from clary.objects.remote.bucket import Bucket, Listed
from clary.objects.remote.place import Place
from clary.objects.remote.store import RemoteStore
from clary.objects.remote.writing import PART
from clary.testing.objects_conformance import ObjectStoreConformance, put, whole
from other_stores import SAMPLED, keys_below, other_store
from whole_server import wait_until


@pytest.fixture(scope="module", params=SAMPLED)
def somewhere(request: pytest.FixtureRequest) -> Iterator[Place]:
    with other_store(request.param) as place:
        yield place


@pytest.fixture
def place(somewhere: Place) -> Place:
    """One of its own for every test."""
    return dataclasses.replace(somewhere, prefix=f"{somewhere.prefix}/{secrets.token_hex(4)}")


@pytest.fixture
def store(place: Place) -> Iterator[RemoteStore]:
    made = RemoteStore(place)
    yield made
    made.close()


def uploads_below(place: Place) -> list[str]:
    return [each.upload for each in Bucket(place).uploads(f"{place.prefix}/")]


class TestRemoteStore(ObjectStoreConformance):
    def test_blobs_are_objects_below_the_prefix(self, store: RemoteStore, place: Place) -> None:
        blob = put(store, b"kept")
        assert keys_below(place) == [f"{place.prefix}/{blob[:2]}/{blob}"]
        assert whole(RemoteStore(place), blob) == b"kept"

    @pytest.mark.parametrize("size", [PART, PART + 1, 3 * PART + 12345])
    def test_large_blobs_go_in_parts(self, store: RemoteStore, place: Place, size: int) -> None:
        data, writer = os.urandom(size), store.writer()
        for at in range(0, size, 1_000_000):
            writer.write(data[at : at + 1_000_000])
        blob = writer.commit()
        assert hashlib.sha256(whole(store, blob)).digest() == hashlib.sha256(data).digest()
        assert b"".join(store.read(blob, PART - 9, 9)) == data[PART - 9 : PART]
        assert uploads_below(place) == []

    def test_a_reading_knows_its_size(self, store: RemoteStore) -> None:
        blob = put(store, b"0123456789")
        assert [store.read(blob).size, store.read(blob, 4).size, store.read(blob, 4, 3).size] == [10, 6, 3]
        assert b"".join(store.read(blob, 10)) == b""

    def test_a_file_that_was_moved_here_is_its_bytes(self, store: RemoteStore, place: Place, tmp_path: Path) -> None:
        """Not what a home has behind them."""
        home, data = FilesystemStore(tmp_path / "objects"), os.urandom(100_000)
        blob = put(home, data)
        Bucket(place).put(f"{place.prefix}/{blob[:2]}/{blob}", Path(str(home.path(blob))).read_bytes())
        assert whole(store, blob) == data
        assert store.read(blob).size == len(data)
        assert b"".join(store.read(blob, 99_990)) == data[99_990:]
        assert b"".join(store.read(blob, 100_000)) == b""
        assert store.sweep(lambda names: (), -60) == 1

    def test_nothing_stays_of_aborted_and_lost_writers(self, store: RemoteStore, place: Place) -> None:
        writers = [store.writer(), store.writer()]
        for writer in writers:
            writer.write(bytes(2 * PART))
        assert len(uploads_below(place)) == 2
        writers[0].abort()
        writers.clear()
        del writer
        wait_until(lambda: not uploads_below(place), what="an upload stays")
        assert keys_below(place) == []

    def test_many_are_deleted(self, store: RemoteStore, place: Place) -> None:
        kept, *blobs = [put(store, b"x") for _ in range(30)]
        for blob in blobs:
            store.delete(blob)
        wait_until(lambda: len(keys_below(place)) == 1, what="deleted blobs stay")
        assert whole(store, kept) == b"x"

    def test_a_blob_that_nobody_deleted_is_missed_loudly(self, store: RemoteStore, place: Place) -> None:
        blob = put(store, b"x")
        Bucket(place).delete(keys_below(place))
        with pytest.raises(Lost):
            whole(store, blob)

    def test_the_sweep_takes_old_leftovers_alone(self, store: RemoteStore, place: Place) -> None:
        known, unknown = put(store, b"known"), put(store, b"unknown")
        Bucket(place).put(f"{place.prefix}/notes.txt", b"of somebody else")
        assert store.sweep({known}.intersection, grace=3600) == 0
        crashed, slow = RemoteStore(place).writer(), store.writer()
        for writer in (crashed, slow):
            writer.write(bytes(2 * PART))
        assert store.sweep({known}.intersection, grace=-60) == 2
        wait_until(lambda: len(keys_below(place)) == 2 and len(uploads_below(place)) == 1, what="leftovers stay")
        assert unknown not in "".join(keys_below(place))
        assert whole(store, slow.commit()) == bytes(2 * PART)

    def test_the_sweep_spares_what_was_whole_a_moment_ago(
        self, store: RemoteStore, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The age of an object of parts counts from its begin, here long ago; its index row may not be there yet."""
        writer = store.writer()
        writer.write(bytes(PART + 1))
        blob = writer.commit()
        listed = Bucket.list
        monkeypatch.setattr(
            Bucket, "list", lambda *words: ([Listed(each.key, 4000.0) for each in page] for page in listed(*words))
        )
        assert store.sweep(lambda names: (), grace=3600) == 0
        assert whole(store, blob) == bytes(PART + 1)
        other = RemoteStore(place)
        assert other.sweep(lambda names: (), grace=3600) == 1
        other.close()

    def test_what_is_lent_is_written_once_by_another(self, store: RemoteStore, place: Place) -> None:
        data, other = os.urandom(100_000), os.urandom(100_000)
        md5 = hashlib.md5(data).hexdigest()
        lent, never = store.lend(md5, 300), store.lend(md5, 300)
        assert not store.arrived(lent.blob, len(data), md5)
        assert _write(lent, data) == 200
        assert store.arrived(lent.blob, len(data), md5)
        assert not store.arrived(lent.blob, len(data) - 1, md5)
        assert not store.arrived(lent.blob, len(data), hashlib.md5(other).hexdigest())
        assert not store.arrived(never.blob, len(data), md5)
        assert _write(lent, data) in (200, 412)  # some stores do not know the condition
        assert whole(store, lent.blob) == data
        _write(never, other, of=data)
        assert not store.arrived(never.blob, len(other), md5)
        store.sweep({lent.blob}.intersection, grace=-60)
        wait_until(lambda: keys_below(place) == [f"{place.prefix}/{lent.blob[:2]}/{lent.blob}"], what="it stays")

    def test_held_blobs_stay(self, store: RemoteStore, place: Place) -> None:
        blob = put(store, b"x")
        with store.hold():
            store.delete(blob)
            assert whole(store, blob) == b"x"
        wait_until(lambda: not keys_below(place), what="a deleted blob stays")

    def test_encrypted_bytes_come_back_from_any_place_on(self, store: RemoteStore) -> None:
        cipher, data = Cipher(os.urandom(32), b"object"), os.urandom(400_000)
        writer = cipher.writer(store.writer())
        writer.write(data)
        blob = writer.commit()
        for start, length in ((0, 400_000), (0, 10), (300_000, 1000)):
            found = b"".join(cipher.read(store, blob, len(data), start, length))
            assert found == data[start : start + length]
        assert data[:1000] not in whole(store, blob)


def _write(lent: Lent, data: bytes, of: bytes | None = None) -> int:
    """The status of sending `data` where the blob of `of` (or of these) is to go."""
    proof = base64.b64encode(hashlib.md5(of or data).digest()).decode()
    headers = {"content-md5": proof, "if-none-match": "*", "content-length": str(len(data))}
    return elsewhere.ask("PUT", lent.url, headers, "", iter([data])).status


def test_a_store_that_hangs_is_given_up_and_left_alone_for_a_while() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        bucket = Bucket(Place("bucket", "x", endpoint, "us-east-1", "path", "", "key", "secret"), patience=0.5)
        times = []
        for _ in range(3):
            begin = time.monotonic()
            with pytest.raises(Unavailable) as caught:
                bucket.put("key", b"data")
            times.append(time.monotonic() - begin)
    assert (caught.value.code, caught.value.status) == ("ServiceUnavailable", 503)
    assert 1 <= times[0] < 10
    assert max(times[1:]) < 0.1
