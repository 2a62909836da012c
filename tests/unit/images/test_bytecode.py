"""Byte code is compiled once for each content, and is good for the files that it is beside."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from clary.images import bytecode

SOURCE = "def where():\n    return where.__code__.co_filename, 'as it was'\n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def package(folder: Path, source: str = SOURCE) -> Path:
    place = folder / "pkg" / "module.py"
    place.parent.mkdir(parents=True)
    place.write_text(source)
    return place


def give(folder: Path, store: Path) -> None:
    subprocess.run([sys.executable, "-I", "-S", bytecode.__file__, str(folder), str(store)], check=True)


def said(source: Path) -> str:
    """What the module says, loaded as a job would load it."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import module; print(*module.where(), sep='\\n')"
    command = [sys.executable, "-I", "-B", "-c", code, str(source.parent)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def entries(store: Path) -> list[Path]:
    return [each for each in store.rglob("*") if each.is_file()]


def test_the_same_source_is_compiled_once_and_knows_where_it_is(tmp_path: Path, store: Path) -> None:
    first, second = package(tmp_path / "first"), package(tmp_path / "second")
    give(tmp_path / "first", store)
    [kept] = entries(store)
    written = kept.read_bytes()
    give(tmp_path / "second", store)
    assert [(each, each.read_bytes()) for each in entries(store)] == [(kept, written)]
    for source in (first, second):
        found = source.stat()
        source.write_text(SOURCE.replace("as it was", "different"))  # of the same size and time: not looked at
        os.utime(source, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert said(source) == f"{source}\nas it was\n"
        os.utime(source, ns=(0, 0))
        assert said(source) == f"{source}\ndifferent\n"


def test_what_is_kept_and_damaged_is_compiled_anew(tmp_path: Path, store: Path) -> None:
    package(tmp_path / "first")
    give(tmp_path / "first", store)
    [kept] = entries(store)
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        kept.write_bytes(damaged)
        source = package(tmp_path / f"after-{len(damaged)}-{damaged[-1:].hex()}")
        give(source.parent, store)
        assert kept.read_bytes() == whole
        assert said(source) == f"{source}\nas it was\n"


def test_what_is_no_program_here_is_left_alone(tmp_path: Path, store: Path) -> None:
    bad, odd = package(tmp_path / "a", "def broken(:\n"), package(tmp_path / "b", "x = '\0'\n")
    test = package(tmp_path / "c" / "tests")
    give(tmp_path, store)
    assert not any(Path(cache_from_source(str(each))).exists() for each in (bad, odd, test))
    assert entries(store) == []


def test_files_with_a_second_name_elsewhere_stay_as_they_are(tmp_path: Path, store: Path) -> None:
    source = package(tmp_path / "base")
    give(source.parent, store)
    cached = Path(cache_from_source(str(source)))
    before = cached.read_bytes()
    other = package(tmp_path / "layer", SOURCE.replace("as it was", "newer"))
    Path(cache_from_source(str(other))).parent.mkdir()
    os.link(cached, cache_from_source(str(other)))
    give(other.parent, store)
    assert cached.read_bytes() == before
    assert said(other) == f"{other}\nnewer\n"


def test_nothing_is_written_or_read_where_a_link_leads(tmp_path: Path, store: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.py").write_text("key = 1\n")
    source = package(tmp_path / "lib")
    (source.parent / "__pycache__").symlink_to(elsewhere)
    linked = package(tmp_path / "lib" / "other").with_name("linked.py")
    linked.symlink_to(elsewhere / "secret.py")
    give(tmp_path / "lib", store)
    assert [each.name for each in elsewhere.iterdir()] == ["secret.py"]
    assert not Path(cache_from_source(str(linked))).exists()


def test_what_nobody_had_for_long_is_swept(tmp_path: Path, store: Path) -> None:
    package(tmp_path / "old")
    package(tmp_path / "used", SOURCE.replace("as it was", "of use"))
    give(tmp_path, store)
    for each in entries(store):
        os.utime(each, (0, 0))
    give(tmp_path / "used", store)
    assert bytecode.sweep(store, 3600) > 0
    [left] = entries(store)
    assert b"of use" in left.read_bytes()
    assert bytecode.sweep(store, 3600) == 0
