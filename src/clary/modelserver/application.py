"""Requests to answers: what the paths mean, and where a prediction runs."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from concurrent.futures import Executor
from dataclasses import dataclass

from clary.algorithms import log
from clary.algorithms.serving import Headers, InvocationError, Predictor, Reply

_TEXT = "text/plain; charset=utf-8"
_BATCH_PAYLOAD_MB = 6  # what batch transform sends at most in one request, unless the container allows less
_PONG = Reply(b"", _TEXT)


@dataclass(slots=True)
class Request:
    """`content_type` and `accept` are the headers' values, empty when absent."""

    method: bytes
    path: bytes
    content_type: str
    accept: str
    headers: Headers
    body: bytes


class Application:
    """`limit` is the longest body, in bytes; `workers` how many predictions may run at once."""

    def __init__(self, predictor: Predictor, threads: Executor, limit: int, workers: int) -> None:
        self.limit = limit
        self._predictor = predictor
        self._threads = threads
        self._parameters = json.dumps(
            {
                "MaxConcurrentTransforms": workers,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": max(1, min(_BATCH_PAYLOAD_MB, limit // 2**20)),
            }
        ).encode()

    def answer(self, request: Request) -> Reply | asyncio.Future[Reply]:
        """The reply, or its future where the prediction may take long: the loop stays free for /ping meanwhile."""
        if request.path == b"/invocations":
            if request.method != b"POST":
                return refusal(405, "Method Not Allowed")
            if len(request.body) <= self._predictor.inline_bytes:
                return self._invoke(request)
            return asyncio.get_running_loop().run_in_executor(self._threads, self._invoke, request)
        if request.path not in (b"/ping", b"/execution-parameters"):
            return refusal(404, "Not Found")
        if request.method != b"GET":
            return refusal(405, "Method Not Allowed")
        return _PONG if request.path == b"/ping" else Reply(self._parameters, "application/json")

    def _invoke(self, request: Request) -> Reply:
        try:
            return self._predictor.invoke(request.body, request.content_type, request.accept, request.headers)
        except InvocationError as problem:
            log.error(f"{problem.status}: {problem.message}")
            return refusal(problem.status, problem.message)
        except Exception as problem:
            traceback.print_exc(file=sys.stdout)
            return refusal(500, f"{type(problem).__name__}: {problem}")


def refusal(status: int, message: str) -> Reply:
    return Reply(message.encode(), _TEXT, status)
