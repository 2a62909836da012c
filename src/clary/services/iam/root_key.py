"""The access key of the root of the server's first account: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from clary.config import Settings
from clary.services.iam.identifiers import access_key, secret_key


def root_arn(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def account_arn(account: str) -> str:
    """What an account beside the server's first is stored under."""
    return f"clary:account/{account}"


@dataclass(frozen=True, slots=True)
class RootKey:
    access_key: str
    secret_key: str = field(repr=False)


def path(settings: Settings) -> Path:
    return settings.secrets / "root-key.json"


def load(settings: Settings) -> RootKey:
    """Raises FileNotFoundError before the first start."""
    data = json.loads(path(settings).read_text())
    return RootKey(data["AccessKeyId"], data["SecretAccessKey"])


def ensure(settings: Settings) -> RootKey:
    """The key of the settings if they have one, else the stored one, else a new random one; stored in any case.

    Raises ValueError when the settings give half a key.
    """
    given = RootKey(settings.root_access_key_id, settings.root_secret_access_key)
    if bool(given.access_key) != bool(given.secret_key):
        raise ValueError("CLARY_ROOT_ACCESS_KEY_ID and CLARY_ROOT_SECRET_ACCESS_KEY come together or not at all")
    settings.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.secrets.chmod(0o700)
    try:
        stored = load(settings)
    except FileNotFoundError:
        stored = None
    wanted = given if given.access_key else stored or RootKey(access_key("AKIA"), secret_key())
    if wanted != stored:
        _store(path(settings), wanted)
    return wanted


def _store(target: Path, key: RootKey) -> None:
    text = json.dumps({"AccessKeyId": key.access_key, "SecretAccessKey": key.secret_key})
    fresh = target.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)  # without it, a loss of power could draw another key
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
