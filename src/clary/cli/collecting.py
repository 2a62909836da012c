"""What the command line has a server let go of, or the home of one that does not run: images of accounts."""

from __future__ import annotations

from typing import Any

from clary.cli.failure import Failure
from clary.cli.server import find
from clary.config import Settings
from clary.images.base import Collected
from clary.images.local import LocalImages
from clary.server import home, questions

_PATIENCE = 600.0  # seconds; the engine looks at each of its images


def collect(settings: Settings) -> Collected:
    """Removes folders' copies and container images that nothing needs which exists. Raises Failure, EngineError,
    HomeError."""
    server = find(settings)
    if server is None:
        return _of_a_home(settings)
    try:
        told = questions.ask(server.control, {"ask": "images-gc"}, _PATIENCE)
    except (questions.NotRunning, questions.Refused) as error:
        raise Failure(f"The server did not say what it removed: {error}") from error
    return _read(told)


def _of_a_home(settings: Settings) -> Collected:
    """Whose server does not run, and cannot start meanwhile."""
    if not settings.data.is_dir():  # none ever ran: no job exists
        return LocalImages(settings).collect(frozenset)
    from clary import app  # it takes as long as a server's start

    home.prepare(settings)
    with home.locked(settings), app.images(settings) as answer:
        return _read(answer({"ask": "images-gc"}))


def _read(told: dict[str, Any]) -> Collected:
    if "error" in told:
        raise Failure(told["error"])
    return Collected(told["removed"], told["size"], told["kept"])
