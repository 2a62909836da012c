"""The root key: where it comes from, what it seals, and that nothing else opens it."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.config import Settings
from clary.secrets import RootKey, SealBroken
from clary.secrets.recognition import WrongRootKey, recognise
from clary.store.engine import SqliteDatabase
from clary.store.schema import RECORDS

KEY = RootKey(bytes(range(32)))


@given(st.binary(max_size=5000), st.binary(max_size=100))
def test_what_is_sealed_opens_with_its_context(plaintext: bytes, context: bytes) -> None:
    sealed = KEY.seal(plaintext, context)
    assert KEY.open(sealed, context) == plaintext
    assert KEY.seal(plaintext, context) != sealed
    assert len(sealed) == len(plaintext) + 45


@given(st.binary(max_size=200), st.data())
def test_one_changed_bit_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(KEY.seal(plaintext, b"context"))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        KEY.open(bytes(sealed), b"context")


@given(st.binary(max_size=60), st.data())
def test_a_cut_text_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    sealed = KEY.seal(plaintext, b"")
    with pytest.raises(SealBroken):
        KEY.open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], b"")


def test_another_context_and_another_key_are_refused() -> None:
    sealed = KEY.seal(b"secret", b"context")
    for key, context in ((KEY, b"Context"), (KEY, b""), (RootKey(bytes(32)), b"context")):
        with pytest.raises(SealBroken) as caught:
            key.open(sealed, context)
        assert "secret" not in str(caught.value).replace("secrets", "")


def test_a_first_start_draws_a_key_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings.load({}, home=tmp_path)
    first = RootKey.load(settings)
    path = settings.secrets / "root.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert RootKey.load(settings).fingerprint() == first.fingerprint()
    assert repr(first) == "RootKey(...)"


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = Settings.load({}, home=tmp_path)
    RootKey.load(settings)
    (settings.secrets / "root.key").chmod(0o640)
    with pytest.raises(ValueError, match="can be read by others"):
        RootKey.load(settings)


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(bytes(31)).decode(), "\x00" * 44])
def test_a_damaged_file_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    settings = Settings.load({}, home=tmp_path)
    RootKey.load(settings)
    path = settings.secrets / "root.key"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a root key"):
        RootKey.load(settings)
    assert path.read_text() == text


def test_the_key_of_the_environment(tmp_path: Path) -> None:
    text = base64.b64encode(bytes(range(32))).decode()
    settings = Settings.load({"CLARY_ROOT_KEY": text}, home=tmp_path)
    assert RootKey.load(settings).fingerprint() == KEY.fingerprint()
    assert not settings.secrets.exists()
    assert text not in repr(settings)
    with pytest.raises(ValueError, match="CLARY_ROOT_KEY is not a root key") as caught:
        RootKey.load(Settings.load({"CLARY_ROOT_KEY": text[:-4]}, home=tmp_path))
    assert text[:-4] not in str(caught.value)


def test_the_key_of_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("phrase").write_text("correct horse battery staple\n")
    settings = Settings.load({"CLARY_ROOT_PASSPHRASE_FILE": "phrase"}, home=tmp_path / "home")
    assert settings.root_passphrase_file == str(tmp_path / "phrase")
    first = RootKey.load(settings).fingerprint()
    assert RootKey.load(settings).fingerprint() == first
    Path("phrase").write_text("correct horse battery stable\n")
    assert RootKey.load(settings).fingerprint() != first
    Path("phrase").write_text("\n")
    with pytest.raises(ValueError, match="holds no passphrase"):
        RootKey.load(settings)


def test_two_sources_are_one_too_many(tmp_path: Path) -> None:
    given = {"CLARY_ROOT_KEY": base64.b64encode(bytes(32)).decode(), "CLARY_ROOT_PASSPHRASE_FILE": os.devnull}
    with pytest.raises(ValueError, match="not both"):
        RootKey.load(Settings.load(given, home=tmp_path))


def test_a_store_knows_its_root_key(tmp_path: Path) -> None:
    database = SqliteDatabase(str(tmp_path / "records.db"), RECORDS)
    try:
        for _ in range(2):
            recognise(database, KEY)
        with pytest.raises(WrongRootKey, match=r"another root key"):
            recognise(database, RootKey(bytes(32)))
        recognise(database, KEY)
    finally:
        database.close()
