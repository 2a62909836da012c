"""`clary env`."""

from __future__ import annotations

import argparse
import os
import shlex
import time

from clary.cli import pointing, printing
from clary.cli.server import running


def command(given: argparse.Namespace) -> int:
    server = running(given)
    credentials = pointing.keys(server, given.root)
    variables = pointing.variables(server, credentials, given.endpoint_url, os.environ)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.given.items()]
    if variables.unset:
        lines.insert(0, f"unset {' '.join(variables.unset)}")
    if credentials.expires:
        until = time.strftime("%Y-%m-%d %H:%M", time.localtime(credentials.expires))
        lines.append(f"# The session ends at {until}; run this again then.")
    printing.answer(given.json, dict(variables.given), "\n".join(lines))
    if not given.endpoint_url and (outer := pointing.outer_proxy(server)):
        printing.note(f"this replaces your proxy {outer}; other hosts are reached directly, not through it.")
    return 0
