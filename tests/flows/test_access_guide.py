"""What "Who may do what" tells to do is done as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from api.sts.identity_provider import IdentityProvider
from whole_server import ROOT, whole_server

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    blocks = _BLOCK.findall((ROOT / "docs" / "guide" / "access.md").read_text())
    program = "\n".join(text for language, text in blocks if language == "python")
    (accounts,) = (text for language, text in blocks if language == "toml")
    (commands,) = (text for language, text in blocks if language == "sh")
    (tmp_path / "accounts.toml").write_text(accounts)
    (tmp_path / "idp-metadata.xml").write_text(IdentityProvider().metadata())
    with whole_server() as server:
        variables = server.environment | server.keys() | {"AWS_ENDPOINT_URL": server.url}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "{'s3:GetObject': 'allowed', 's3:PutObject': 'implicitDeny'}\n"
        for line in commands.splitlines():
            words = [str(tmp_path / word) if word.endswith(".toml") else word for word in line.split()[1:]]
            assert server.clary(*words).returncode == 0, line
        assert {each["account"] for each in server.ask("accounts", "ls")["accounts"]} >= {"222222222222"}
