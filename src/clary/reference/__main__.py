"""Writes the reference pages, or says with --check which of them are not what the code says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from clary.reference import algorithms, commands, compatibility, images, settings

PAGES: dict[str, Callable[[], str]] = {
    "algorithms.md": algorithms.page,
    "cli.md": commands.page,
    "compatibility.md": compatibility.page,
    "images.md": images.page,
    "settings.md": settings.page,
}
_MARK = "<!-- Made by `make docs`. Change the code that this page speaks of, not the page. -->\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when --check finds a page that is missing or out of date."""
    parser = argparse.ArgumentParser(prog="python -m clary.reference", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; say what is out of date")
    given = parser.parse_args(arguments)
    pages = {given.folder / name: _MARK + make() for name, make in PAGES.items()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if given.check:
        for path in stale:
            sys.stderr.write(f"{path} is out of date: run `make docs`\n")
        return int(bool(stale))
    given.folder.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(pages[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
