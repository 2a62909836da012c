"""Whether a repository's layers are encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.config import Settings
from clary.services.ecr import faults

AES256 = "AES256"


def wanted(operation: str, asked: Mapping[str, Any] | None, settings: Settings) -> bool:
    """As a request asks, else as the server is set for objects. Raises InvalidParameterException."""
    if asked is None:
        return bool(settings.encrypt_objects)
    if asked["encryptionType"] != AES256 or asked.get("kmsKey"):
        raise faults.not_built(operation, f"encryptionConfiguration {asked['encryptionType']}")
    return True
