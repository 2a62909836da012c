"""The root key: 256 bits under which every secret that the stores keep is sealed.

A sealed text is `version (1 byte) | salt (16) | nonce (12) | ciphertext and tag (16)`. Each has a key of its own, made
of the root key and its salt, so that no number of them wears the root key out; AES-256-GCM binds it to its context.
"""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clary.config import Settings
from clary.secrets import sources

_VERSION = b"\x01"
_SALT, _NONCE, _TAG = 16, 12, 16
_HEAD = len(_VERSION) + _SALT + _NONCE


class SealBroken(Exception):
    """A sealed text that does not open: changed, of another context, or sealed under another root key. The message says
    nothing of its content."""


class RootKey:
    """Seals and opens; safe between threads. The key itself is not told again, not even by `repr`."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != sources.KEY_BYTES:
            raise ValueError(f"a root key has {sources.KEY_BYTES} bytes")
        self._key = key

    @classmethod
    def load(cls, settings: Settings) -> RootKey:
        """From the settings (key or passphrase), else from the home's file, which the first start writes. Raises
        ValueError when they contradict each other or the file is damaged or open to others; OSError."""
        return cls(sources.key(settings))

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """`plaintext` so that only this key opens it, and only with the same `context` (what it is the secret of; not
        secret itself). 45 bytes longer, and different every time."""
        salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
        return _VERSION + salt + nonce + self._cipher(salt).encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed. Raises SealBroken."""
        if len(sealed) < _HEAD + _TAG or sealed[:1] != _VERSION:
            raise SealBroken("not a sealed text")
        salt, nonce = sealed[1 : 1 + _SALT], sealed[1 + _SALT : _HEAD]
        try:
            return self._cipher(salt).decrypt(nonce, sealed[_HEAD:], context)
        except InvalidTag:
            raise SealBroken("changed, of another context, or sealed under another root key") from None

    def fingerprint(self) -> str:
        """Tells one root key from another, and nothing else of it: 32 hexadecimal digits."""
        return self._derive(b"clary fingerprint")[:16].hex()

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(self._derive(b"clary seal " + salt))

    def _derive(self, purpose: bytes) -> bytes:
        return hmac.digest(self._key, purpose, "sha256")

    def __repr__(self) -> str:
        return f"RootKey({self.fingerprint()})"
