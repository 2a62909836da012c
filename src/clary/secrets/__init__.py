"""Secrets at rest: the root key and what it seals."""

from clary.secrets.root_key import RootKey, SealBroken

__all__ = ["RootKey", "SealBroken"]
