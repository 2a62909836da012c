"""clary.archives: what is packed comes back, what is hostile stays out."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from clary.agent.collect import merged
from clary.archives import BadArchive, Limits, UnsafeArchive, pack, unpack


class OneWay:
    """A stream that can only be read, a few bytes at a time, like a socket."""

    def __init__(self, data: bytes, step: int = 1000) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(self._step if size < 0 else min(size, self._step))


def archive_of(*members: tarfile.TarInfo, data: bytes = b"") -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for member in members:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return raw.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in" / "folder"
    made.mkdir(parents=True)
    return made


def fill(folder: Path) -> None:
    (folder / "model.bin").write_bytes(os.urandom(300_000))
    (folder / "code").mkdir()
    (folder / "code" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "code" / "run.sh").chmod(0o700)
    (folder / "code" / ("long-" * 40 + "näme")).write_text("x")
    (folder / "empty").mkdir()
    (folder / "latest").symlink_to("code/run.sh")


def packed(folder: Path) -> bytes:
    raw = io.BytesIO()
    pack(merged([folder]), raw)
    return raw.getvalue()


def tree(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


def test_round_trip_from_a_stream_that_cannot_seek(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    out = tmp_path / "out"
    out.mkdir()
    unpack(OneWay(packed(folder)), out)
    assert tree(out) == tree(folder)
    assert os.access(out / "code" / "run.sh", os.X_OK)
    assert not os.access(out / "model.bin", os.X_OK)


def test_equal_folders_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    twin = tmp_path / "twin"
    twin.mkdir()
    unpack(OneWay(packed(folder)), twin)
    assert packed(folder) == packed(twin)


def test_contents_lie_at_top_level_and_links_stay_links(folder: Path) -> None:
    fill(folder)
    with tarfile.open(fileobj=io.BytesIO(packed(folder))) as archive:
        names = archive.getnames()
        assert "model.bin" in names
        assert archive.getmember("latest").issym()


def test_plain_tar_is_read_too(folder: Path, tmp_path: Path) -> None:
    (folder / "a").write_text("1")
    out = tmp_path / "out"
    out.mkdir()
    unpack(OneWay(gzip.decompress(packed(folder)), step=1), out)
    assert (out / "a").read_text() == "1"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "absolute": lambda: archive_of(member("/etc/shadow")),
    "parent": lambda: archive_of(member("../evil")),
    "parent within": lambda: archive_of(member("a/../../evil")),
    "absolute link": lambda: archive_of(member("a", tarfile.SYMTYPE, "/etc")),
    "link out": lambda: archive_of(member("a", tarfile.SYMTYPE, "../../evil")),
    "through a link": lambda: archive_of(member("a", tarfile.SYMTYPE, ".."), member("a/evil")),
    "hard link out": lambda: archive_of(member("a", tarfile.LNKTYPE, "../evil")),
    "hard link absolute": lambda: archive_of(member("a", tarfile.LNKTYPE, "/etc/passwd")),
    "device": lambda: archive_of(member("a", tarfile.CHRTYPE)),
    "pipe": lambda: archive_of(member("a", tarfile.FIFOTYPE)),
    "bent link": lambda: archive_of(
        member("s", tarfile.DIRTYPE),
        member("s/a", tarfile.SYMTYPE, "b/../.."),
        member("s/b", tarfile.SYMTYPE, "."),
    ),
    "file as folder": lambda: archive_of(member("a"), member("a/b")),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_archives_are_refused_and_write_nothing_outside(name: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive, match=r"\.$"):
        unpack(OneWay(HOSTILE[name]()), folder)
    outside = [path for path in tmp_path.rglob("*") if folder not in path.parents and path not in folder.parents]
    assert outside == [folder]
    assert all(folder in Path(os.path.realpath(path)).parents for path in folder.rglob("*"))


def test_a_later_member_replaces_a_link_instead_of_writing_through_it(folder: Path) -> None:
    unpack(OneWay(archive_of(member("t"), member("a", tarfile.SYMTYPE, "t"), member("a"), data=b"new")), folder)
    assert not (folder / "a").is_symlink()


def test_limits_hold(folder: Path) -> None:
    with pytest.raises(UnsafeArchive, match="more than 99 bytes"):
        unpack(OneWay(archive_of(member("a"), data=b"x" * 100)), folder, Limits(size=99))
    with pytest.raises(UnsafeArchive, match="more than 1 members"):
        unpack(OneWay(archive_of(member("a"), member("b"))), folder, Limits(entries=1))


def test_a_header_bomb_is_not_read_into_memory(folder: Path) -> None:
    header = member("x", tarfile.XHDTYPE)
    header.size = 1 << 33
    with pytest.raises(UnsafeArchive, match="header"):
        unpack(OneWay(gzip.compress(header.tobuf(tarfile.GNU_FORMAT))), folder)


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_off_archive_is_bad(part: float, folder: Path, tmp_path: Path) -> None:
    fill(folder)
    data = packed(folder)
    with pytest.raises(BadArchive, match="intact"):
        unpack(OneWay(data[: int(len(data) * part)]), tmp_path)


def test_damage_and_other_formats_are_bad(folder: Path, tmp_path: Path) -> None:
    fill(folder)
    data = bytearray(packed(folder))
    data[len(data) // 2] ^= 1
    for wrong in (bytes(data), b"PK\x03\x04 not a tar at all", gzip.compress(b"hello" * 1000)):
        with pytest.raises(BadArchive, match="intact"):
            unpack(OneWay(wrong), tmp_path)


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(folder: Path, tmp_path: Path) -> None:
    (folder / "a").write_text("1")
    (folder / "b").write_text("2")
    plain = bytearray(gzip.decompress(packed(folder)))
    plain[1024] ^= 0xFF
    with pytest.raises(BadArchive, match="intact"):
        unpack(OneWay(gzip.compress(bytes(plain))), tmp_path)


def test_names_longer_than_a_path_are_unsafe(tmp_path: Path) -> None:
    for name in ("d/" * 1500 + "f", "d/" * 3000 + "f"):
        with pytest.raises(UnsafeArchive, match="longer than a path"):
            unpack(io.BytesIO(archive_of(member(name))), tmp_path)


def test_trees_are_merged_and_the_first_of_a_name_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, texts in (
        (first, {"a": "1", "both/x": "1", "f/x": "1"}),
        (second, {"a/b/c": "2", "both/y": "2", "f": "2"}),
    ):
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    found = {name: path.read_text() for path, name in merged([first, second]) if path.is_file()}
    assert found == {"a": "1", "both/x": "1", "f/x": "1", "both/y": "2"}
    assert [name for _, name in merged([])] == []
