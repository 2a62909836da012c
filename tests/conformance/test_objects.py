"""The embedded object store keeps the contract, and what only a store in files can get wrong."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from clary.objects.filesystem import FilesystemStore
from clary.testing.objects_conformance import ObjectStoreConformance, put, whole
from whole_server import wait_until


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    return FilesystemStore(tmp_path / "objects")


def _open_below(folder: Path) -> list[str]:
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(each.readlink()))
    return [each for each in found if each.startswith(str(folder))]


def files(store_folder: Path) -> list[Path]:
    return [path for path in store_folder.rglob("*") if path.is_file()]


class TestFilesystemStore(ObjectStoreConformance):
    def test_blobs_survive_reopening(self, store: FilesystemStore, tmp_path: Path) -> None:
        blob = put(store, b"kept")
        assert whole(FilesystemStore(tmp_path / "objects"), blob) == b"kept"

    def test_nothing_stays_of_aborted_and_lost_writers(self, store: FilesystemStore, tmp_path: Path) -> None:
        aborted, lost = store.writer(), store.writer()
        aborted.write(b"x")
        lost.write(b"x")
        aborted.abort()
        del lost
        assert files(tmp_path) == []

    def test_delete_frees_the_disk(self, store: FilesystemStore, tmp_path: Path) -> None:
        store.delete(put(store, b"x"))
        assert files(tmp_path) == []

    def test_deleted_files_are_closed(self, store: FilesystemStore, tmp_path: Path) -> None:
        """Until then the disk does not have the room back."""
        blobs = [put(store, b"x" * 100_000) for _ in range(200)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(store.delete, blobs))
        assert files(tmp_path) == []
        wait_until(lambda: not _open_below(tmp_path), what="deleted files stay open")

    def test_unread_readings_cost_no_descriptors(self, store: FilesystemStore) -> None:
        blob = put(store, b"x")
        before = len(list(Path("/proc/self/fd").iterdir()))
        readings = [store.read(blob) for _ in range(100)]
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert [b"".join(each) for each in readings] == [b"x"] * 100

    def test_the_sweep_takes_old_leftovers_alone(self, store: FilesystemStore, tmp_path: Path) -> None:
        known, unknown, young = (put(store, name) for name in (b"known", b"unknown", b"young"))
        unfinished = tmp_path / "objects" / "incoming" / "00"
        unfinished.write_bytes(b"half")
        for old in (store.path(known), store.path(unknown), unfinished):
            os.utime(str(old), (0, 0))
        assert store.sweep({known}.intersection, grace=3600) == 2
        assert sorted(path.name for path in files(tmp_path)) == sorted([known, young])
        assert (whole(store, known), whole(store, young)) == (b"known", b"young")

    def test_a_full_disk_is_an_error_that_leaves_nothing(self, tmp_path: Path) -> None:
        """A limit on the size of files stands for the disk's end; it ends a process of its own."""
        program = (
            "import sys, signal\nfrom pathlib import Path\nfrom clary.objects.filesystem import FilesystemStore\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "writer = FilesystemStore(Path(sys.argv[1])).writer()\n"
            "try:\n    writer.write(b'x' * 300_000)\n"
            "except OSError as error: sys.exit(error.errno)\n"
        )

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "objects")], preexec_fn=limit)
        assert done.returncode == errno.EFBIG
        assert files(tmp_path) == []
