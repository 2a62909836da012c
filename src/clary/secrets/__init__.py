"""Secrets at rest: the root key and what it seals."""

from clary.secrets.kept import DataKey, KeptDataKeys
from clary.secrets.root_key import RootKey
from clary.secrets.sealing import SealBroken, SealingKey

__all__ = ["DataKey", "KeptDataKeys", "RootKey", "SealBroken", "SealingKey"]
