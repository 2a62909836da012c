"""The command line: parsing and printing only."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from clary.cli.failure import Failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Exit codes: 0 done, 1 it could not be done (stderr says why and what to do), 2 bad usage;
    `clary run` gives the code of the command that it ran."""
    from clary.cli.parser import parser

    words = sys.argv[1:] if arguments is None else list(arguments)
    top = parser()
    if not words:
        top.print_help(sys.stderr)
        return 2
    given = top.parse_args(words)
    try:
        code: int = given.command(given)
    except Failure as failure:
        print(f"clary: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader (`clary logs | head`) has seen enough
        sys.stderr.close()  # or the interpreter complains once more while it flushes
        return 0
    return code
