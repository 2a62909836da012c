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

from clary.config import Settings
from clary.edge.process import Options, serve
from clary.edge.tls import establish_authority

# Within the time that the supervisor gives an edge to end.
_GRACE_SECONDS = 8.0


def main(arguments: Sequence[str] | None = None) -> int:
    """All but the listening socket comes from the settings (CLARY_* in the environment)."""
    parser = argparse.ArgumentParser(prog="python -m clary.edge", description="One edge process of a Clary server.")
    parser.add_argument("--fd", type=int, required=True, help="the descriptor of a listening socket")
    parser.add_argument("--jobs", type=int, help="that of the socket at which jobs come in")
    parser.add_argument("--name", default="edge", help="what the log calls this process")
    given = parser.parse_args(arguments)
    settings = Settings.load()
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {given.name} %(levelname)s %(name)s: %(message)s")
    _raise_descriptor_limit()
    options = Options(
        listening=given.fd,
        jobs=given.jobs,
        control=settings.run / "control.sock",
        secrets=settings.secrets,
        names=(settings.host,),
        payload_limit=settings.payload_limit_bytes,
        clock_window=settings.clock_window_seconds,
        grace=_GRACE_SECONDS,
        connections=settings.edge_connections,
    )
    establish_authority(options.secrets)
    gc.freeze()  # what start-up made lives as long as the process: no collection need look at it again
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(options))
    return 0


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
