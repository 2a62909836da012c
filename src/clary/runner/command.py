"""Inside: becomes the command that runs in place of an entry point of ours, a program of the user's: no shell and no
process of ours is between it and the signals that the job gets."""

from __future__ import annotations

import json
import os
import signal

from clary.algorithms import log
from clary.contract.layout import Layout

COMMAND_VARIABLE = "CLARY_COMMAND"
FOLDER_VARIABLE = "CLARY_WORKING_FOLDER"
_NOT_FOUND, _CANNOT_RUN = 127, 126  # as shells and container engines have it


def main() -> int:
    """Does not return, but for a program that cannot be run: then the status, with the reason in the failure file."""
    command: list[str] = json.loads(os.environ.pop(COMMAND_VARIABLE))
    os.chdir(os.environ.pop(FOLDER_VARIABLE, "."))
    for each in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal.signal(each, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as problem:
        text = f"ClientError: The entry point {command[0]} of this job cannot be run: {problem.strerror}"
        log.error(text)
        Layout.here().failure.write_text(text, encoding="utf-8")
        return _NOT_FOUND if isinstance(problem, FileNotFoundError) else _CANNOT_RUN
