"""`clary run CMD`."""

from __future__ import annotations

import argparse
import os
import shutil

from clary.cli import pointing
from clary.cli.failure import Failure
from clary.cli.server import running


def command(given: argparse.Namespace) -> int:
    words = given.words[1:] if given.words[:1] == ["--"] else given.words
    if not words:
        raise Failure("Say what to run, for instance: clary run python train.py")
    server = running(given)
    credentials = pointing.keys(server, given.root)
    variables = pointing.variables(server, credentials, given.endpoint_url, os.environ)
    environment = variables.applied(os.environ)
    found = shutil.which(words[0], path=environment.get("PATH"))
    if found is None:
        raise Failure(f"There is no command {words[0]!r} on the PATH.")
    try:
        os.execve(found, words, environment)
    except OSError as error:
        raise Failure(f"{found} cannot be run: {error.strerror}.") from error
