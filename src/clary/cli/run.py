"""`clary run CMD`."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from clary.cli import pointing
from clary.cli.failure import Failure
from clary.cli.hints import hint
from clary.cli.server import running, settings_of

# As `env` and shells have it.
_CANNOT_RUN, _NOT_FOUND = 126, 127


def command(given: argparse.Namespace) -> int:
    """Replaces this process, so that signals and the exit code are those of the command."""
    words = given.words[1:] if given.words[:1] == ["--"] else given.words
    if not words:
        example = hint(settings_of(given), "run", "python train.py")
        raise Failure(f"Say what to run, for instance: {example}", code=2)
    server = running(given)
    credentials = pointing.keys(server, given.root)
    variables = pointing.variables(server, credentials, given.endpoint_url, os.environ)
    environment = variables.applied(os.environ) | pointing.configuration(server)
    found = shutil.which(words[0], path=environment.get("PATH"))
    if found is None:
        if "/" in words[0] and Path(words[0]).exists():
            raise Failure(f"{words[0]} cannot be run: it is no executable file.", _CANNOT_RUN)
        raise Failure(f"There is no command {words[0]!r} on the PATH.", _NOT_FOUND)
    try:
        os.execve(found, words, environment)
    except OSError as error:
        raise Failure(f"{found} cannot be run: {error.strerror}.", _CANNOT_RUN) from error
