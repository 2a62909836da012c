"""Folders that stand for images: where what they bring runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent_world import World
from clary.contract.instance import Image
from clary.images import inside, pythons


def test_packages_of_a_folder_run_in_its_sandbox_only(here: World, tmp_path: Path) -> None:
    """A `.pth` file is run by every Python that starts from its environment: the job's does, and no fork server."""
    here.inside = inside.tree(here.settings)
    layered = tmp_path / "base+packages"
    subprocess.run([pythons.base_python(), "-m", "venv", "--without-pip", str(layered)], check=True)
    site = next(layered.glob("lib/python*/site-packages"))
    outside, trace = tmp_path / "outside", tmp_path / "trace"
    outside.touch()  # which no sandbox shows
    code = f"import os, sys; sys.mine = 'mine'; os.path.exists({str(outside)!r}) and open({str(trace)!r}, 'w')"
    (site / "own.pth").write_text(f"{code}\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "train.py").write_text("import sys\nprint('trained with', sys.mine)\n")
    image = Image("folder", "x", "base", str(layered), programs=str(programs), beneath=sys.prefix)
    spec = here.spec(image=image)
    record = here.run(spec).exit
    lines = here.lines(spec.id)
    assert record is not None
    assert (record.cause, lines) == ("completed", ["trained with mine"]), record
    assert not trace.exists()
