"""Commands named in answers, written so that they work when they are pasted."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from clary.config import Settings


def hint(settings: Settings, verb: str, rest: str = "") -> str:
    """`clary VERB REST`, with --home where this home is not the default one."""
    words = [_program(), verb]
    if settings.home != Settings.load({}).home:
        words += ["--home", shlex.quote(str(settings.home))]
    return " ".join([*words, rest]).strip()


def _program() -> str:
    """How this program was called, where plain `clary` would not find it."""
    called = sys.argv[0]
    found = shutil.which("clary")
    if Path(called).name != "clary" or (found and Path(called).exists() and Path(found).samefile(called)):
        return "clary"  # `python -m` among others, which is for programs
    return shlex.quote(called)
