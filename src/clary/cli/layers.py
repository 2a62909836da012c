"""What the command line has a running server do with the layers of its registry."""

from __future__ import annotations

from typing import NamedTuple

from clary.cli.failure import Failure
from clary.cli.server import find
from clary.config import Settings
from clary.server import questions

_PATIENCE = 600.0  # seconds; a round looks at every layer


class Collected(NamedTuple):
    """Blobs of layers and of unfinished uploads that went; `size` in bytes, of the layers."""

    blobs: int
    size: int


def collect(settings: Settings) -> Collected | None:
    """Frees what no image needs and nobody touched for an hour. None while no server runs, which does it by itself when
    it does. Raises Failure."""
    server = find(settings)
    if server is None:
        return None
    try:
        told = questions.ask(server.control, {"ask": "registry-gc"}, _PATIENCE)
    except (questions.NotRunning, questions.Refused) as error:
        raise Failure(f"The server did not say what it freed: {error}") from error
    return Collected(told["blobs"], told["bytes"])
