"""`clary version`."""

from __future__ import annotations

import argparse
import platform

from clary import __version__
from clary.cli import printing


def command(given: argparse.Namespace) -> int:
    facts = {"version": __version__, "python": platform.python_version()}
    printing.answer(given.json, facts, f"Clary {__version__} (Python {facts['python']})")
    return 0
