"""Settings: one frozen value, and the only reader of the environment."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

# A unix socket's path has at most 107 bytes; a home deeper than this keeps its sockets elsewhere.
_LONGEST_SOCKET_FOLDER = 70


@dataclass(frozen=True, slots=True)
class Settings:
    """Every field can be set as CLARY_<FIELD>; docs/reference/settings.md says what each does (a test checks it)."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 7467
    region: str = "us-east-1"
    account: str = "123456789012"
    root_access_key_id: str = ""
    root_secret_access_key: str = ""
    images_home: Path = Path()
    edges: int = 1
    job_slots: int = 0
    isolation: str = "auto"
    stop_grace_seconds: float = 120.0
    startup_timeout_seconds: float = 240.0
    clock_window_seconds: float = 900.0
    payload_limit_bytes: int = 25 * 1024 * 1024
    database_url: str = ""

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """From CLARY_* variables; `given` (command-line options; None means not given) wins. Raises ValueError."""
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = source.get(f"CLARY_{field.name.upper()}")
            if given.get(field.name) is not None:
                values[field.name] = given[field.name]
            elif text:
                values[field.name] = _convert(field.name, str(field.type), text)
        values["home"] = Path(values.get("home") or _default_home(source)).expanduser().absolute()
        values["images_home"] = Path(values.get("images_home") or _default_images(source)).expanduser().absolute()
        return cls(**values)

    @property
    def data(self) -> Path:
        """SQL files of the embedded store."""
        return self.home / "data"

    @property
    def blobs(self) -> Path:
        """Object bytes of the embedded object store."""
        return self.home / "objects"

    @property
    def instances(self) -> Path:
        """One folder per running or uncollected instance: spool, staged inputs, outputs."""
        return self.home / "instances"

    @property
    def secrets(self) -> Path:
        """Root key and the certificate authority, 0700."""
        return self.home / "secrets"

    @property
    def logs(self) -> Path:
        """What Clary's own processes print."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Sockets and pid files of this home."""
        here = self.home / "run"
        if len(os.fsencode(here)) <= _LONGEST_SOCKET_FOLDER:
            return here
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"clary-{os.getuid()}-{name}"


def _default_home(source: Mapping[str, str]) -> Path:
    data = source.get("XDG_DATA_HOME")
    return (Path(data) if data else Path("~/.local/share")) / "clary"


def _default_images(source: Mapping[str, str]) -> Path:
    cache = source.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path("~/.cache")) / "clary" / "images"


def _convert(name: str, kind: str, text: str) -> Any:
    try:
        match kind:
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "Path":
                return Path(text)
            case _:
                return text
    except ValueError:
        raise ValueError(f"CLARY_{name.upper()}={text!r} is not a valid {kind}") from None
