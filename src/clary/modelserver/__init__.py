"""Inside: the HTTP server in front of a loaded model: GET /ping, POST /invocations, GET /execution-parameters."""

from clary.modelserver.server import main

__all__ = ["main"]
