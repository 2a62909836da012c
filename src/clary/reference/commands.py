"""The page of the command line, from its parser."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from clary.cli.parser import parser

_INTRODUCTION = """# Command line

Exit codes: 0 done; 1 it could not be done, and stderr says why and what to do; 2 bad usage. `clary status` answers 1
when no server runs, `clary doctor` when something is missing. `clary run` gives the exit code of the command it ran
(126: it cannot be run, 127: there is none of that name). With `--json` the answer is one line of JSON on stdout.

"""


def page() -> str:
    with _columns(100):
        top = parser()
        texts = [_section("clary", top), *(_section(f"clary {name}", each) for name, each in _commands(top))]
    return _INTRODUCTION + "\n".join(texts)


def _section(title: str, command: argparse.ArgumentParser) -> str:
    return f"## {title}\n\n```text\n{command.format_help()}```\n"


def _commands(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


@contextmanager
def _columns(width: int) -> Iterator[None]:
    """argparse folds at the width of the terminal; the page must not depend on whose terminal it was."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
