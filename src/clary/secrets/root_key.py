"""The root key: 256 bits under which every secret that the stores keep is sealed."""

from __future__ import annotations

from clary.config import Settings
from clary.secrets import sources
from clary.secrets.sealing import SealingKey


class RootKey(SealingKey):
    """The sealing key of a server, from where its settings say."""

    __slots__ = ()

    @classmethod
    def load(cls, settings: Settings) -> RootKey:
        """From the settings (key or passphrase), else from the home's file, which the first start writes. Raises
        ValueError when they contradict each other or the file is damaged or open to others; OSError."""
        return cls(sources.key(settings))

    def fingerprint(self) -> str:
        """Tells one root key from another, and nothing else of it: 32 hexadecimal digits."""
        return self._derive(b"clary fingerprint")[:16].hex()
