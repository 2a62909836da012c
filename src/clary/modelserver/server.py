"""Loads the model, listens, and ends in good order on SIGTERM.

Environment: CLARY_ALGORITHM names the algorithm, CLARY_FRAMEWORK instead the framework of a script of the user's.
CLARY_MODEL_SOCKET is the unix socket to listen on; without it the server listens on loopback at SAGEMAKER_BIND_TO_PORT
(8080). MAX_CONTENT_LENGTH limits bodies, in bytes. The model's folder is /opt/ml/model.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clary.algorithms import log, registry
from clary.algorithms.serving import InvocationError, Predictor
from clary.contract.layout import Layout
from clary.modelserver.application import Application
from clary.modelserver.protocol import HttpConnection

_BODY_LIMIT = 25 * 1024 * 1024
_LAST_ANSWERS = 25.0  # seconds that open requests have after SIGTERM; SIGKILL comes at 30


def main() -> int:
    """Serves until SIGTERM; the process's exit status."""
    environment = dict(os.environ)
    try:
        predictor = _load(environment)
    except InvocationError as problem:
        log.error(problem.message)
        return 1
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return 1
    _runner()(serve(predictor, environment))
    return 0


def _load(environment: Mapping[str, str]) -> Predictor:
    if "CLARY_FRAMEWORK" in environment:
        from clary.modelserver import handlers  # it needs the framework's libraries

        return handlers.load(Layout.here(), environment)
    return registry.loader(environment.get("CLARY_ALGORITHM", ""))(Layout.here().model, environment)


async def serve(predictor: Predictor, environment: Mapping[str, str]) -> None:
    """Listens until SIGTERM, then answers what is under way and returns."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    limit = int(environment.get("MAX_CONTENT_LENGTH") or _BODY_LIMIT)
    workers = os.cpu_count() or 1
    open_connections: set[HttpConnection] = set()
    with ThreadPoolExecutor(workers, "predict") as threads:
        application = Application(predictor, threads, limit, workers)
        server = await _listen(lambda: HttpConnection(application, open_connections), environment)
        log.info("Model loaded; listening")
        await stop.wait()
        server.close()
        await _finish(open_connections)


async def _listen(factory: Callable[[], HttpConnection], environment: Mapping[str, str]) -> asyncio.AbstractServer:
    loop = asyncio.get_running_loop()
    path = environment.get("CLARY_MODEL_SOCKET")
    if path:
        return await loop.create_unix_server(factory, path, backlog=1024)
    port = int(environment.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    return await loop.create_server(factory, "127.0.0.1", port, backlog=1024)


async def _finish(connections: set[HttpConnection]) -> None:
    closed = [connection.finish() for connection in tuple(connections)]
    if closed:
        await asyncio.wait(closed, timeout=_LAST_ANSWERS)


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run
    return run
