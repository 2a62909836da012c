"""`python -m clary.edge`: one edge process. The supervisor starts it and hands it the listening socket."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from clary.edge.process import Options, serve


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _raise_descriptor_limit()
    gc.freeze()  # what start-up made lives as long as the process: no collection need look at it again
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(options))
    return 0


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m clary.edge", description="One edge process of a Clary server.")
    parser.add_argument("--listen", type=int, required=True, metavar="FD", help="descriptor of a listening socket")
    parser.add_argument("--control", type=Path, required=True, metavar="PATH", help="the control plane's unix socket")
    parser.add_argument("--secrets", type=Path, required=True, metavar="FOLDER", help="where the CA is, or is made")
    parser.add_argument(
        "--name", action="append", default=[], help="a host name or address clients use for this server"
    )
    parser.add_argument("--payload-limit", type=int, default=Options.payload_limit, metavar="BYTES")
    parser.add_argument("--clock-window", type=float, default=Options.clock_window, metavar="SECONDS")
    parser.add_argument("--grace", type=float, default=Options.grace, metavar="SECONDS")
    given = parser.parse_args(arguments)
    return Options(
        listening=given.listen,
        control=given.control,
        secrets=given.secrets,
        names=tuple(given.name),
        payload_limit=given.payload_limit,
        clock_window=given.clock_window,
        grace=given.grace,
    )


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed (it exists for CPython only), else asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: type[asyncio.AbstractEventLoop] = uvloop.Loop
    return factory


def _raise_descriptor_limit() -> None:
    """Each connection is a descriptor: use what the system allows, not the low default."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
