"""Backups that are disturbed, on real databases and blobs."""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clary.backup.asking import Tell, snapshot
from clary.backup.restoring import CannotRestore, restore
from clary.backup.snapshots import DATABASES, PATIENCE, Snapshots
from clary.backup.taking import CannotBackUp, back_up
from clary.config import Settings
from clary.context import Stores
from clary.images import carried
from clary.images.registered import Registry
from clary.objects.filesystem import FilesystemStore
from clary.secrets import RootKey
from clary.server.questions import Refused
from clary.services.s3 import index
from clary.services.s3.index import Entry
from clary.store import registry_schema, schema
from clary.store.engine import SqliteDatabase


def nothing(_done: int, _total: int) -> None:
    """Nobody is told."""


class Home:
    """A home without its server, and what answers for it; `restart` is what a new control plane would be."""

    def __init__(self, folder: Path, patience: float = PATIENCE) -> None:
        self.settings = Settings.load({}, home=folder)
        self.settings.data.mkdir(parents=True)
        self._patience = patience
        tables = (schema.RECORDS, registry_schema.OBJECTS, schema.LOGS)
        paths = [str(self.settings.data / f"{name}.db") for name in DATABASES]
        self.databases = [SqliteDatabase(*each) for each in zip(paths, tables, strict=True)]
        self.objects = FilesystemStore(self.settings.blobs)
        self.restart()

    def restart(self) -> None:
        key = RootKey.load(self.settings).fingerprint()
        self.snapshots = Snapshots(self.settings, Stores(*self.databases), self.objects, key, self._patience)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        return self.snapshots.answers()[question["ask"]](question)

    def put(self, key: bytes, data: bytes) -> str:
        writer = self.objects.writer()
        writer.write(data)
        blob = writer.commit()
        self.databases[1].write(lambda c: index.put(c, Entry("bucket", key, len(data), "", 0.0, blob=blob)))
        return blob

    def back_up(self, target: Path, writing: Tell = nothing) -> Any:
        return back_up(self.settings, self.ask, target, nothing, writing)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with contextlib.closing(_Closing(Home(tmp_path / "home"))) as closing:
        yield closing.home


class _Closing:
    def __init__(self, home: Home) -> None:
        self.home = home

    def close(self) -> None:
        self.home.snapshots.close()
        for each in self.home.databases:
            each.close()


def test_a_restart_meanwhile_leaves_no_file(home: Home, tmp_path: Path) -> None:
    home.put(b"key", b"data" * 1000)
    target = tmp_path / "out" / "all.tar"
    target.parent.mkdir()

    def restarted(_done: int, _total: int) -> None:
        home.snapshots.close()
        home.restart()

    with pytest.raises(Refused, match="restarted meanwhile"):
        home.back_up(target, restarted)
    assert list(target.parent.iterdir()) == []
    assert home.back_up(target).blobs == 1


def test_one_at_a_time(home: Home, tmp_path: Path) -> None:
    with snapshot(home.ask, DATABASES, "", nothing), pytest.raises(Refused, match="under way"):
        home.back_up(tmp_path / "all.tar")
    home.back_up(tmp_path / "all.tar")


def test_who_does_not_ask_loses_the_hold(tmp_path: Path) -> None:
    with contextlib.closing(_Closing(Home(tmp_path / "home", patience=0.3))) as closing:
        home = closing.home
        blob = home.put(b"key", b"data")
        begun = home.ask({"ask": "snapshot", "databases": ["objects"]})
        holder = next(each for each in threading.enumerate() if each.name == "snapshot")
        home.objects.delete(blob)
        holder.join(10)
        assert not Path(str(home.objects.path(blob))).exists()
        with pytest.raises(Refused, match="let go"):
            home.ask({"ask": "snapshot-end", "token": begun["token"]})
        assert not Path(begun["folder"]).exists()


def test_no_room(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(CannotBackUp, match="make room"):
        home.back_up(tmp_path / "all.tar")


def test_an_empty_folder_is_a_fresh_home(home: Home, tmp_path: Path) -> None:
    """As a volume that is mounted there."""
    blob = home.put(b"key", b"data" * 1000)
    home.back_up(tmp_path / "all.tar")
    again = Settings.load({}, home=tmp_path / "again")
    again.home.mkdir()
    inode = again.home.stat().st_ino
    restore(again, tmp_path / "all.tar", nothing, nothing)
    assert again.home.stat().st_ino == inode
    assert b"".join(FilesystemStore(again.blobs).read(blob)) == b"data" * 1000
    assert sorted(path.name for path in again.home.iterdir()) == ["data", "lock", "objects", "registered", "secrets"]
    with pytest.raises(CannotRestore, match="There is something"):
        restore(again, tmp_path / "all.tar", nothing, nothing)


ACCOUNTS, URI, ENVIRONMENT = ("123456789012", "333333333333"), "team/mine:1", "scikit-learn"


def registered_in(home: Home, folder: Path) -> None:
    """For one account what the URI stands for now and stood for before, for another scripts."""
    (folder / "lib" / "empty").mkdir(parents=True)
    for text in ("before", "now"):
        (folder / "train").write_text(text)
        (folder / "train").chmod(0o755)
        if not (folder / "link").is_symlink():
            (folder / "link").symlink_to("/opt/ml/model/elsewhere")
            (folder / "lib" / "train").symlink_to("../train")
        Registry(home.settings).add(ACCOUNTS[0], URI, folder, ENVIRONMENT)
    Registry(home.settings).add(ACCOUNTS[1], URI, None, "xgboost-script")


def test_registrations_come_back(home: Home, tmp_path: Path) -> None:
    registered_in(home, tmp_path / "programs")
    home.back_up(tmp_path / "all.tar")
    again = Settings.load({}, home=tmp_path / "again")
    restore(again, tmp_path / "all.tar", nothing, nothing)
    registry = Registry(again)
    assert registry.every() == Registry(home.settings).every()
    copies = sorted(path.name for path in (again.registered_images / "folders").iterdir())
    assert copies == sorted(path.name for path in (home.settings.registered_images / "folders").iterdir())
    assert len(copies) == 2
    made = registry.find(ACCOUNTS[0], URI)
    assert made is not None
    copy = Path(made.image(again).programs)
    assert ((copy / "train").read_text(), (copy / "lib" / "empty").is_dir()) == ("now", True)
    assert (copy / "link").readlink() == Path("/opt/ml/model/elsewhere")
    modes = [stat.S_IMODE((copy / name).stat().st_mode) for name in ("", "train", "lib/empty")]
    assert modes == [0o755] * 3


def test_a_folder_of_other_content_is_not_taken_over(home: Home, tmp_path: Path) -> None:
    registered_in(home, tmp_path / "programs")
    for copy in (home.settings.registered_images / "folders").iterdir():
        (copy / "train").write_text("damaged")
    home.back_up(tmp_path / "all.tar")
    again = Settings.load({}, home=tmp_path / "again")
    with pytest.raises(CannotRestore, match="is of other content"):
        restore(again, tmp_path / "all.tar", nothing, nothing)
    assert not again.home.exists()


@pytest.mark.parametrize("name", ["../out", "/tmp/clary-out", "a/../../out"])
def test_no_archive_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    folders = tmp_path / "registered" / "folders"
    folders.mkdir(parents=True)
    with tarfile.open(folders / f"{'0' * 32}.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(carried.BadCopy, match="something in it that no registration has"):
        carried.unpack(tmp_path / "registered")
    assert [path.name for path in tmp_path.iterdir()] == ["registered"]


def test_no_archive_leads_out_of_its_folder_by_its_links(tmp_path: Path) -> None:
    folders, out = tmp_path / "registered" / "folders", tmp_path / "out"
    folders.mkdir(parents=True)
    out.mkdir()
    with tarfile.open(folders / f"{'0' * 32}.tar.gz", "w:gz") as tar:
        for name, leads_to in (("way", str(out)), ("way/link", "/etc/passwd")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, leads_to
            tar.addfile(link)
    with pytest.raises(carried.BadCopy, match="below a link"):
        carried.unpack(tmp_path / "registered")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "changed", [{"folder": "../../secrets"}, {"account": "333333333333"}, {"environment": 1}, {"more": ""}]
)
def test_a_registration_that_none_could_have_made(tmp_path: Path, changed: dict[str, Any]) -> None:
    file = tmp_path / ACCOUNTS[0] / f"{'0' * 32}.json"
    file.parent.mkdir()
    said = {"account": ACCOUNTS[0], "uri": URI, "environment": ENVIRONMENT, "folder": "0" * 32}
    file.write_text(json.dumps(said))
    carried.unpack(tmp_path)
    file.write_text(json.dumps(said | changed))
    with pytest.raises(carried.BadCopy, match="is none"):
        carried.unpack(tmp_path)
