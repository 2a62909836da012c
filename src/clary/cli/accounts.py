"""`clary accounts`: the accounts of a server, while it runs and while it does not."""

from __future__ import annotations

import argparse
import contextlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clary.cli import printing
from clary.cli.failure import Failure
from clary.cli.server import find, settings_of
from clary.config import Settings
from clary.server import home, questions

Facts = dict[str, Any]


def command(given: argparse.Namespace) -> int:
    try:
        return _ACTIONS[given.action](given)
    except (questions.Refused, questions.NotRunning, home.HomeError) as error:
        raise Failure(str(error)) from error


def _apply(given: argparse.Namespace) -> int:
    """Makes the accounts of a file; prints the keys of users that were drawn: they are not told again."""
    facts = _asked(settings_of(given), {"ask": "accounts-apply", "file": _read(given.file)})
    drawn = facts["drawn"]
    lines = [f"{each['account']}  {each['user']}  {each['access_key']}  {each['secret_key']}" for each in drawn]
    told = ["Keys of new users, which are not told again:", *lines] if lines else []
    printing.answer(given.json, facts, "\n".join([f"{facts['applied']} account(s) are as {given.file} says.", *told]))
    return 0


def _ls(given: argparse.Namespace) -> int:
    """Lists the accounts; the secret keys of their roots only when asked for."""
    found = _asked(settings_of(given), {"ask": "accounts"})["accounts"]
    if not given.keys:
        for each in found:
            del each["secret_key"]
    lines = ["  ".join([each["account"], f"{each['users']:>4} users", *_key(each), each["name"]]) for each in found]
    printing.answer(given.json, {"accounts": found}, "\n".join(line.rstrip() for line in lines))
    return 0


def _key(account: Facts) -> list[str]:
    return [account[name] for name in ("access_key", "secret_key") if name in account]


def _read(path: Path) -> Facts:
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Failure(f"{path} is not {'JSON' if path.suffix == '.json' else 'TOML'}: {error}.") from error
    if not isinstance(found, dict):
        raise Failure(f"{path}: a table with a list named accounts was expected.")
    return found


def _asked(settings: Settings, question: Facts) -> Facts:
    """Of the running server, else of its home."""
    server = find(settings)
    if server is not None:
        return questions.ask(server.control, question)
    with _closed(settings) as answer:
        found = answer(question)
    if "error" in found:
        raise questions.Refused(found["error"])
    return found


@contextlib.contextmanager
def _closed(settings: Settings) -> Iterator[questions.Answer]:
    """Answers of a home whose server does not run, and cannot start meanwhile."""
    from clary import app  # it takes as long as a server's start

    home.prepare(settings)
    with home.locked(settings), app.accounts(settings) as answer:
        yield answer


_ACTIONS = {"apply": _apply, "ls": _ls}
