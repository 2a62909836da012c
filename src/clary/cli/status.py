"""`clary status`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from clary.cli import printing
from clary.cli.hints import hint
from clary.cli.server import Server, find, settings_of
from clary.server import processes, questions


def command(given: argparse.Namespace) -> int:
    """Exit code 1 when no server runs, so that scripts can ask."""
    settings = settings_of(given)
    server = find(settings)
    if server is None:
        alive = sum(processes.recorded(path) is not None for path in settings.run.glob("agent-*.pid"))
        facts: dict[str, Any] = {"running": False, "home": str(settings.home), "instances": alive}
        words = f"No server runs with this home ({settings.home}). Start one with `{hint(settings, 'up')}`."
        if alive:  # the server was killed, not ended: an orderly end takes them along
            words += f" {alive} instance(s) of jobs and endpoints live on without it; the next start goes on with them."
        printing.answer(given.json, facts, words)
        return 1
    facts = {"running": True, "home": str(settings.home), "url": server.url, "port": server.port}
    facts["pid"] = server.process.pid
    try:
        state = questions.status(server.control)
    except (questions.NotRunning, questions.Refused) as error:
        words = f"Clary runs at {server.url} (process {server.process.pid}), but does not answer now: {error}"
        words = f"{words.rstrip('.')}. See {settings.logs}."
        printing.answer(given.json, facts | {"answers": False}, words)
        return 1
    facts |= {"answers": True, "version": state.version, "account": state.account, "region": state.region}
    facts |= {"seconds": round(time.time() - state.started, 1), "counts": state.counts}
    printing.answer(given.json, facts, _words(server, state))
    return 0


def _words(server: Server, state: questions.Status) -> str:
    lines = [
        f"Clary {state.version} runs at {server.url} (process {server.process.pid}).",
        f"  home     {server.settings.home}",
        f"  account  {state.account}, region {state.region}",
    ]
    return "\n".join([*lines, *(f"  {number:>6}  {name}" for name, number in state.counts.items())])
