"""Becomes a model server in a fresh interpreter of the environment on the PATH, where a script's libraries are: they
may be others than the fork server's, and are loaded as the script expects it, with all their threads."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import clary

_PROGRAM = "import sys; sys.path.insert(0, {tree!r}); from clary.modelserver import main; sys.exit(main())"


def main() -> int:
    """Does not return."""
    python = shutil.which("python") or sys.executable
    tree = str(Path(clary.__file__).parents[1])
    os.execv(python, [python, "-P", "-c", _PROGRAM.format(tree=tree)])
