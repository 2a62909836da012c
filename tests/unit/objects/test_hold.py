"""Blobs that are deleted while somebody holds the store."""

from __future__ import annotations

from pathlib import Path

from clary.objects.filesystem import FilesystemStore


def put(store: FilesystemStore, data: bytes = b"data") -> str:
    writer = store.writer()
    writer.write(data)
    return writer.commit()


def there(store: FilesystemStore, blob: str) -> bool:
    return Path(str(store.path(blob))).exists()


def test_deleted_blobs_stay_until_the_last_hold_is_over(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    blob = put(store)
    with store.hold():
        with store.hold():
            store.delete(blob)
        assert there(store, blob)
    assert not there(store, blob)


def test_a_reader_outlives_the_hold(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    blob = put(store)
    reading = store.read(blob)
    with store.hold():
        store.delete(blob)
        other = store.read(blob)
        other.close()
        assert there(store, blob)
    assert there(store, blob)
    assert b"".join(reading) == b"data"
    assert not there(store, blob)


def test_a_sweep_leaves_what_is_held(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    blob = put(store)
    with store.hold():
        store.sweep(lambda _: [], grace=-60)
        assert there(store, blob)
    assert not there(store, blob)
