"""Sealing: AES-256-GCM under a key of 256 bits, with a fresh key for every sealed text.

A sealed text is `version (1 byte) | salt (16) | nonce (12) | ciphertext and tag (16)`. The key that encrypts it is made
of the sealing key and the salt, so that no number of sealed texts wears the sealing key out.
"""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_VERSION = b"\x01"
_SALT, _NONCE, _TAG = 16, 12, 16
_HEAD = len(_VERSION) + _SALT + _NONCE


class SealBroken(Exception):
    """A sealed text that does not open: changed, of another context, or sealed under another key. The message says
    nothing of its content."""


class SealingKey:
    """Seals and opens; safe between threads. The key itself is not told again, not even by `repr`."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a sealing key has {KEY_BYTES} bytes")
        self._key = key

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
            raise SealBroken("changed, of another context, or sealed under another key") from None

    def digest(self, secret: bytes, context: bytes) -> bytes:
        """32 bytes by which equal secrets are known, and from which nobody without this key can try out guesses."""
        return self._derive(b"clary digest " + len(context).to_bytes(8, "big") + context + secret)

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(self._derive(b"clary seal " + salt))

    def _derive(self, purpose: bytes) -> bytes:
        return hmac.digest(self._key, purpose, "sha256")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"
