"""The guide's page on data says what works: its blocks run, from the first to the last."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from whole_server import ROOT, Done, client_programs

PAGE = ROOT / "docs" / "guide" / "data.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONS = {"sh": ["-eu"], "python": []}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_block_runs(run_client: Callable[..., Done], tmp_path: Path) -> None:
    folders = [client_programs("s3clients"), client_programs("awscli"), Path(sys.executable).parent]
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    said = ""
    for number, (kind, text) in enumerate(BLOCK.findall(PAGE.read_text(encoding="utf-8"))):
        file = tmp_path / f"block{number}"
        file.write_text(text, encoding="utf-8")
        words = ["env", "-C", str(tmp_path), kind, *OPTIONS[kind], str(file)]
        done = run_client("s3clients", *words, options=["--root"], PATH=path)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        said += done.stdout
    for expected in ("b'label'", "b'el'", "b'he'", "204 1\n", "AccessDenied", "arn:aws:kms:", "\nhello\n"):
        assert expected in said, said
    assert "remove_bucket: my-data" in said
