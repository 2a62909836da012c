"""What a model server of AWS's hands to handlers beside their arguments: `context`, with the names that those of Multi
Model Server and TorchServe have, on which sagemaker-inference and sagemaker-pytorch-inference run."""

from __future__ import annotations

import inspect
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clary import __version__
from clary.algorithms.serving import Headers, InvocationError, Reply
from clary.modelserver.metrics import Metrics

Handler = Callable[..., Any]

_NAME = "model"  # what AWS's toolkits call the only model of a container
_MANIFEST = "MAR-INF/MANIFEST.json"  # of a model archive
_CONTENT_TYPE = "content-type"
_OF_THE_SERVER = ("connection", "content-length", "transfer-encoding")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class RequestProcessor:
    """A request's headers, and what the handlers want its answer to have."""

    def __init__(self, headers: Headers) -> None:
        self._request_headers = headers
        self._status, self._phrase = 200, ""
        self._response_headers: dict[str, str] = {}

    def get_request_property(self, key: str) -> str | None:
        found: str | None = self._request_headers.get(key)
        return found

    def get_request_properties(self) -> dict[str, str]:
        return self._request_headers

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        self._status, self._phrase = code, reason_phrase or ""

    def get_response_status_code(self) -> int:
        return self._status

    def get_response_status_phrase(self) -> str:
        return self._phrase

    def add_response_property(self, key: str, value: str) -> None:
        self._response_headers[key] = value

    def get_response_headers(self) -> dict[str, str]:
        return self._response_headers

    def get_response_header(self, key: str) -> str | None:
        return self._response_headers.get(key)


class Context:
    """One for each request that runs at a time, the same for those that follow each other. `idx` is the place in a
    batch; there is one request in each, whose `idx` is 0. `gpu_id` is None: there is no GPU."""

    def __init__(self, folder: Path) -> None:
        self.model_name = _NAME
        self.manifest = _manifest(folder)
        self.system_properties: dict[str, Any] = {
            "model_dir": str(folder),
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "Clary",
            "server_version": __version__,
        }
        self.metrics = Metrics(self.model_name)
        self.request_ids: dict[int, str] = {}
        self.request_processor: list[RequestProcessor] = []

    def begin(self, headers: Headers) -> None:
        """The next request."""
        self.request_ids = {0: str(uuid.uuid4())}
        self.request_processor = [RequestProcessor(Headers(headers.items()))]  # a script may write to them
        self.metrics.request_id = self.request_ids[0]

    def get_request_id(self, idx: int = 0) -> str | None:
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        return self.request_processor[idx].get_request_properties()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Without a request, while the model is loaded, it says nothing to anybody."""
        if self.request_processor:
            self.request_processor[idx].report_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        for each in self.request_processor:
            each.report_status(code, phrase)

    def get_response_status(self, idx: int) -> tuple[int, str]:
        asked = self.request_processor[idx]
        return asked.get_response_status_code(), asked.get_response_status_phrase()

    def set_response_content_type(self, idx: int, value: str) -> None:
        """The form that a handler returns, or that was accepted, is set after it and so counts, as in AWS's toolkit."""
        self.set_response_header(idx, _CONTENT_TYPE, value)

    def get_response_content_type(self, idx: int) -> str | None:
        return self.get_response_headers(idx).get(_CONTENT_TYPE)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        return self.request_processor[idx].get_response_headers()

    def reply(self, body: bytes, content_type: str) -> Reply:
        """The answer with what the handlers have set. Raises InvocationError for what no answer can have."""
        status, phrase = self.get_response_status(0)
        headers = {name: value for name, value in self.get_response_headers(0).items() if name.lower() != _CONTENT_TYPE}
        _check(status, phrase, {**headers, "Content-Type": content_type})
        return Reply(body, content_type, status, phrase, headers)


def _manifest(folder: Path) -> dict[str, Any]:
    """Of the model's archive; a plain one has what the toolkit would write for it."""
    found: dict[str, Any] = {"model": {"modelName": _NAME, "modelVersion": "1"}}
    path = folder / _MANIFEST
    return json.loads(path.read_bytes()) if path.is_file() else found


def _check(status: int, phrase: str, headers: dict[str, str]) -> None:
    if not (isinstance(status, int) and 200 <= status <= 599):
        raise InvocationError(500, f"The handlers set the status {status!r}; an answer has one from 200 to 599.")
    if not _TEXT.fullmatch(phrase):
        raise InvocationError(500, "The phrase that the handlers set beside the status has to be one line of text.")
    for name, value in headers.items():
        if name.lower() in _OF_THE_SERVER:
            raise InvocationError(500, f"The handlers set the header {name}, which the model server itself sets.")
        if not (_TOKEN.fullmatch(name) and isinstance(value, str) and _TEXT.fullmatch(value)):
            raise InvocationError(500, f"The handlers set the header {name!r} to {value!r}, which cannot be sent.")


def with_context(handler: Handler, given: int, optional: bool) -> Handler:
    """The handler as a function of the context and its `given` arguments. It is handed the context where it has one
    more parameter, as AWS's toolkits do it; where that has a default only if `optional`."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        every = inspect.signature(handler).parameters.values()
    except ValueError:  # a function of C that does not tell
        every = {}.values()
    parameters = [each for each in every if each.kind in kinds]
    if len(parameters) == given + 1 and (optional or parameters[-1].default is inspect.Parameter.empty):

        def called(context: Context, *arguments: Any) -> Any:
            return handler(*arguments, context)
    else:

        def called(context: Context, *arguments: Any) -> Any:
            return handler(*arguments)

    return called
