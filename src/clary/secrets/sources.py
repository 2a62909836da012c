"""Where the root key comes from: the environment, a passphrase, or a file of the home that only its owner can read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

from clary.config import Settings
from clary.secrets.sealing import KEY_BYTES

_SALT_BYTES = 16
# A guess at the passphrase costs 128 MiB and a few tenths of a second.
_COST, _BLOCK, _LANES = 2**17, 8, 1
_MOST_MEMORY = 2 * 128 * _COST * _BLOCK


def key(settings: Settings) -> bytes:
    """The 32 bytes. Raises ValueError, OSError."""
    if settings.root_key and settings.root_passphrase_file:
        raise ValueError("give CLARY_ROOT_KEY or CLARY_ROOT_PASSPHRASE_FILE, not both")
    if settings.root_key:
        return _decoded(settings.root_key, "CLARY_ROOT_KEY")
    if settings.root_passphrase_file:
        return _stretched(Path(settings.root_passphrase_file), settings.secrets / "root.salt")
    path = settings.secrets / "root.key"
    return _decoded(_private(path, KEY_BYTES), str(path))


def _decoded(text: str, source: str) -> bytes:
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != KEY_BYTES:
        raise ValueError(f"{source} is not a root key: {KEY_BYTES} bytes in base64")
    return found


def _stretched(passphrase: Path, salt: Path) -> bytes:
    phrase = passphrase.read_bytes().rstrip(b"\r\n")
    if not phrase:
        raise ValueError(f"{passphrase} holds no passphrase")
    grain = base64.b64decode(_private(salt, _SALT_BYTES))
    return hashlib.scrypt(phrase, salt=grain, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MOST_MEMORY, dklen=KEY_BYTES)


def _private(path: Path, size: int) -> str:
    """The content of a file of ours; drawn now, `size` random bytes in base64, when there is none."""
    try:
        if path.stat().st_mode & 0o077:
            raise ValueError(f"{path} can be read by others: chmod 600 it, and think of who may have read it")
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        text = base64.b64encode(os.urandom(size)).decode() + "\n"
        _write(path, text)
        return text


def _write(path: Path, text: str) -> None:
    """Durable before anything is sealed under it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
