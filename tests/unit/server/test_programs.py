"""What the programs of a server are given."""

from __future__ import annotations

import json
from pathlib import Path

from whole_server import whole_server


def environment(run: Path, name: str) -> dict[str, str]:
    pid = json.loads((run / f"{name}.pid").read_text())["pid"]
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_only_the_control_plane_is_told_the_root_key() -> None:
    given = {"root_access_key_id": "AKIAEXAMPLEEXAMPLE00", "root_secret_access_key": "a-secret-of-the-test"}
    key = {f"CLARY_{name.upper()}": value for name, value in given.items()}
    with whole_server(**given) as server:
        assert server.keys()["AWS_ACCESS_KEY_ID"] == given["root_access_key_id"]
        run = server.settings.run
        assert key.items() <= environment(run, "control").items()
        for name in ("edge-0", "launcher"):
            told = environment(run, name)
            assert "CLARY_HOME" in told and not key.keys() & told.keys()
