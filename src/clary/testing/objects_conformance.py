"""What every `ObjectStore` does. A test class inherits `ObjectStoreConformance` and gives an empty `store`."""

from __future__ import annotations

import gc
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from clary.objects.base import ObjectStore, copy
from clary.wire.messages import BytesBody


def put(store: ObjectStore, data: bytes) -> str:
    writer = store.writer()
    writer.write(data)
    return writer.commit()


def whole(store: ObjectStore, blob: str) -> bytes:
    return b"".join(store.read(blob))


class ObjectStoreConformance:
    """What every object store must do; a subclass has the fixture `store`."""

    @pytest.mark.parametrize("size", [0, 1, 1000, (1 << 20) + 1])
    def test_bytes_come_back(self, store: ObjectStore, size: int) -> None:
        data = os.urandom(size)
        assert whole(store, put(store, data)) == data

    def test_pieces_are_joined(self, store: ObjectStore) -> None:
        writer = store.writer()
        assert copy(BytesBody(b"abc" * 1000), writer, piece=7) == 3000
        assert whole(store, writer.commit()) == b"abc" * 1000

    def test_any_range_comes_back(self, store: ObjectStore) -> None:
        data = os.urandom(700_000)
        blob = put(store, data)
        dice = random.Random(7)
        for _ in range(50):
            start, length = dice.randrange(len(data)), dice.randrange(300_000)
            length = min(length, len(data) - start)
            assert b"".join(store.read(blob, start, length)) == data[start : start + length]
        assert b"".join(store.read(blob, 699_000)) == data[699_000:]

    def test_names_are_new_every_time(self, store: ObjectStore) -> None:
        assert len({put(store, b"same") for _ in range(50)}) == 50

    def test_an_unknown_blob_is_an_error_at_once(self, store: ObjectStore) -> None:
        blob = put(store, b"x")
        store.delete(blob)
        for name in (blob, "", "..", "../../etc/passwd"):
            with pytest.raises(FileNotFoundError):
                store.read(name)

    def test_deleting_twice_is_fine(self, store: ObjectStore) -> None:
        blob = put(store, b"x")
        store.delete(blob)
        store.delete(blob)

    def test_who_reads_a_deleted_blob_reads_to_its_end(self, store: ObjectStore) -> None:
        data = os.urandom(1 << 20)
        blob = put(store, data)
        not_begun, begun = store.read(blob), store.read(blob)
        first = next(begun)
        store.delete(blob)
        assert first + b"".join(begun) == data
        assert b"".join(not_begun) == data
        with pytest.raises(FileNotFoundError):
            store.read(blob)

    def test_a_reading_that_is_dropped_does_not_keep_a_deleted_blob(self, store: ObjectStore) -> None:
        blob = put(store, b"x" * 1_000_000)
        reading = store.read(blob)
        next(reading)
        store.delete(blob)
        del reading
        gc.collect()
        with pytest.raises(FileNotFoundError):
            store.read(blob)

    def test_abort_after_commit_and_commit_order_do_not_disturb(self, store: ObjectStore) -> None:
        one, two, three = store.writer(), store.writer(), store.writer()
        for writer, data in ((one, b"1"), (two, b"2"), (three, b"3")):
            writer.write(data)
        three_name = three.commit()
        two.abort()
        one_name = one.commit()
        one.abort()
        assert (whole(store, one_name), whole(store, three_name)) == (b"1", b"3")

    def test_the_path_leads_to_the_bytes(self, store: ObjectStore) -> None:
        path = store.path(put(store, b"here"))
        if path is not None:
            with open(path, "rb") as file:  # noqa: PTH123 (the contract gives a str)
                assert file.read(4) == b"here"

    def test_a_body_that_cannot_land_is_written(self, store: ObjectStore) -> None:
        body, writer = BytesBody(b"abc" * 1000), store.writer()
        writer.write(body.read(7))
        writer.land(body)
        assert copy(body, writer, piece=500) == 2993
        assert whole(store, writer.commit()) == b"abc" * 1000

    def test_many_at_once(self, store: ObjectStore) -> None:
        pieces = [os.urandom(random.Random(n).randrange(200_000)) for n in range(40)]
        with ThreadPoolExecutor(8) as pool:
            blobs = list(pool.map(lambda data: put(store, data), pieces))
            assert list(pool.map(lambda blob: whole(store, blob), blobs)) == pieces
