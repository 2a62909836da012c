"""`clary up`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from clary import __version__
from clary.cli import isolation, printing
from clary.cli.failure import Failure
from clary.cli.hints import hint
from clary.cli.server import settings_of
from clary.config import Settings
from clary.sandbox import Rung
from clary.server.home import HomeError
from clary.server.listening import PortTaken
from clary.server.supervisor import StartFailed
from clary.server.up import Running, serve

_REPORT = "CLARY_UP_REPORT"  # the descriptor on which a detached server says that it is ready, or why it is not


def command(given: argparse.Namespace) -> int:
    settings = settings_of(given, host=given.host, port=given.port)
    if not 0 <= settings.port <= 65535:
        raise Failure(f"{settings.port} is no port. Give one from 1 to 65535, or 0 for any free one.")
    report = os.environ.pop(_REPORT, "")
    if report:
        return _serve_detached(settings, int(report))
    for name in Settings.unknown(os.environ):
        printing.note(f"{name} is no setting and is ignored; docs/reference/settings.md has the names.")
    here = isolation.chosen(settings)
    if here.refused:
        raise Failure(here.refused)
    if given.detach:
        return _detach(given, settings, here.rung)

    def ready(running: Running) -> None:
        facts = _facts(running)
        printing.answer(given.json, facts, _banner(settings, facts, here.rung, "Ctrl-C"))

    try:
        serve(settings, ready)
    except (HomeError, PortTaken, StartFailed) as error:
        raise Failure(str(error)) from error
    if not given.json:
        print("Clary has stopped.")
    return 0


def _detach(given: argparse.Namespace, settings: Settings, rung: Rung) -> int:
    """Starts this command once more in a session of its own and waits for its report."""
    reader, writer = os.pipe()
    environment = {**os.environ, _REPORT: str(writer), "CLARY_PORT": str(settings.port), "CLARY_HOST": settings.host}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "clary.cli", "up", "--home", str(settings.home)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(writer,),
        start_new_session=True,
    )
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    report: dict[str, Any] = json.loads(text) if text else {"error": "The server ended before it was ready."}
    if "error" in report:
        process.wait()
        raise Failure(report["error"])
    facts = report["facts"]
    printing.answer(given.json, facts, _banner(settings, facts, rung, f"`{hint(settings, 'down')}`"))
    return 0


def _serve_detached(settings: Settings, report: int) -> int:
    os.set_inheritable(report, False)

    def say(message: dict[str, Any]) -> None:
        with os.fdopen(report, "w") as pipe:
            json.dump(message, pipe)

    try:
        serve(settings, lambda running: say({"facts": _facts(running)}))
    except (HomeError, PortTaken, StartFailed) as error:
        say({"error": str(error)})
        return 1
    return 0


def _facts(running: Running) -> dict[str, Any]:
    settings = running.settings
    facts = {"version": __version__, "url": _url(running), "host": settings.host, "port": settings.port}
    return facts | {"home": str(settings.home), "pid": running.pid, "seconds": round(running.seconds, 3)}


def _url(running: Running) -> str:
    host = running.settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{running.settings.port}"


def _banner(settings: Settings, facts: dict[str, Any], rung: Rung, stop: str) -> str:
    for_one, for_shell = hint(settings, "run", "python train.py"), f'eval "$({hint(settings, "env")})"'
    width = max(len(for_one), len(for_shell))
    lines = [
        f"Clary {facts['version']} is ready after {facts['seconds']:.1f} s: {facts['url']} "
        "(HTTP and HTTPS on the same port)",
        f"  home     {settings.home}",
        f"  account  {settings.account}, region {settings.region}",
    ]
    if rung == "plain":
        lines.append("  Jobs are not isolated here: they can see this user's files. `clary doctor` says why.")
    if settings.host not in ("127.0.0.1", "::1", "localhost"):
        lines.append("  Other machines can reach it: requests are authenticated, but http:// is not encrypted.")
    lines += [
        "Point AWS clients at it:",
        f"  {for_one:<{width}}    for one command",
        f"  {for_shell:<{width}}    for this shell",
        f"Stop it with {stop}.",
    ]
    return "\n".join(lines)
