"""An installer that makes no environment, but notes what it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installer of our own on the PATH: it notes each call, and fails when `fail` exists beside the note, to install
    when `fail-install` does; it installs without end when `endless` does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "uv"
    script.write_text(f"""#!/bin/sh
echo "$@ writes=${{PYTHONDONTWRITEBYTECODE-yes}}" >> {tmp_path}/calls
[ -e {tmp_path}/fail ] && {{ echo "no index can be reached"; exit 2; }}
[ "$1" = pip ] && [ -e {tmp_path}/fail-install ] && exit 2
[ "$1" = pip ] && [ -e {tmp_path}/endless ] && exec sleep 600
case "$1" in venv) for last; do :; done; mkdir -p "$last/bin"; echo '#!/bin/sh' > "$last/bin/python"
  chmod +x "$last/bin/python";; esac
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return tmp_path / "calls"
