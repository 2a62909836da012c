"""A SavedModel behind /invocations, as AWS's TensorFlow Serving container has it: JSON as of the REST API, plain JSON,
JSON Lines and CSV; a script's input_handler and output_handler around it."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from clary.algorithms.declaration import split_content_type
from clary.algorithms.serving import NO_HEADERS, Headers, InvocationError, Reply
from clary.modelserver import encodings
from clary.modelserver.frameworks import savedmodel

_LINES = ("application/jsonlines", "application/jsons")
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_ATTRIBUTE = re.compile(r"(tfs-[a-z-]+)=([^,]+)")
_OF_THE_API = ("instances", "inputs", "examples")


class Context(NamedTuple):
    """What the handlers are told of a request. No TensorFlow Serving listens here, so `rest_uri`, `grpc_port` and
    `channel` lead nowhere."""

    model_name: str | None
    model_version: str | None
    method: str | None
    rest_uri: str
    grpc_port: str
    channel: None
    custom_attributes: str | None
    request_content_type: str
    accept_header: str
    content_length: int


class Answer:
    """The model's answer for an output_handler: of a requests.Response what there is without a connection."""

    def __init__(self, status_code: int, content: bytes) -> None:
        self.status_code = status_code
        self.content = content
        self.headers = {"Content-Type": encodings.JSON}

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


def load(folder: Path, script: ModuleType | None, environment: Mapping[str, str]) -> ServingPredictor:
    """The models of the folder, behind the handlers of the script, if there is one. Raises InvocationError."""
    if script is not None and not all(hasattr(script, name) for name in ("input_handler", "output_handler")):
        raise InvocationError(
            500,
            "The script has to have input_handler and output_handler. A `handler` of its own would ask a TensorFlow "
            "Serving by its address, and none listens here.",
        )
    models = savedmodel.load(folder, environment.get("SAGEMAKER_TFS_DEFAULT_MODEL_NAME", ""))
    return ServingPredictor(models, script, environment)


class ServingPredictor:
    """Implements clary.algorithms.serving.Predictor. Handlers of a script have one request at a time, or as many as
    SAGEMAKER_MODEL_SERVER_WORKERS says."""

    inline_bytes = 0  # nobody knows how long a model takes

    def __init__(self, models: savedmodel.Models, script: ModuleType | None, environment: Mapping[str, str]) -> None:
        self._models = models
        self._script = script
        self._accept = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or encodings.JSON
        self._turns = threading.Semaphore(int(environment.get("SAGEMAKER_MODEL_SERVER_WORKERS") or 1))

    def invoke(self, body: bytes, content_type: str, accept: str, headers: Headers = NO_HEADERS) -> Reply:
        attributes = headers.get(_ATTRIBUTES, "")
        asked = dict(_ATTRIBUTE.findall(attributes))
        if self._script is None:
            return Reply(_json(self._ask(asked, _request(body, content_type))), encodings.JSON)
        wanted = self._accept if accept in ("", "*/*") else accept
        context = Context(
            model_name=asked.get("tfs-model-name"),
            model_version=asked.get("tfs-model-version"),
            method=asked.get("tfs-method"),
            rest_uri="",
            grpc_port="",
            channel=None,
            custom_attributes=attributes or None,
            request_content_type=content_type or encodings.JSON,
            accept_header=wanted,
            content_length=len(body),
        )
        with self._turns:
            return self._by_script(self._script, body, asked, context)

    def _by_script(self, script: ModuleType, body: bytes, asked: Mapping[str, str], context: Context) -> Reply:
        try:
            given = script.input_handler(io.BytesIO(body), context)
            try:
                answer = Answer(200, _json(self._ask(asked, json.loads(given))))
            except InvocationError as refused:
                answer = Answer(refused.status, refused.message.encode())
            made, form = script.output_handler(answer, context)
        except Exception as problem:  # of the user's code, whatever it raises
            traceback.print_exc()
            raise savedmodel.refusal(500, str(problem)) from problem
        return Reply(made.encode() if isinstance(made, str) else bytes(made), form)

    def _ask(self, asked: Mapping[str, str], request: Any) -> dict[str, Any]:
        model = self._models.pick(asked.get("tfs-model-name", ""), asked.get("tfs-model-version", ""))
        return savedmodel.answer(model, asked.get("tfs-method", "predict"), request)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _request(body: bytes, content_type: str) -> Any:
    """The REST API's JSON of what was sent. Raises InvocationError 415 for another form, 400 for what is malformed."""
    media = split_content_type(content_type)[0]
    try:
        if media == encodings.JSON or media in _LINES:
            return _of_json(body.decode())
        if media == encodings.CSV:
            return {"instances": [_row(cells) for cells in csv.reader(io.StringIO(body.decode())) if cells]}
    except (ValueError, RecursionError, csv.Error) as problem:
        raise savedmodel.refusal(400, f"The request is no {media}: {problem}") from problem
    raise savedmodel.refusal(415, f"Unsupported Media Type: {content_type or 'Unknown'}")


def _of_json(text: str) -> Any:
    """As it is, where it is the REST API's; JSON Lines an instance a line; other lists of lists are the instances, and
    anything else is one."""
    try:
        value = json.loads(text)
    except ValueError:
        return {"instances": [json.loads(line) for line in text.splitlines() if line.strip()]}
    if isinstance(value, dict) and any(name in value for name in _OF_THE_API):
        return value
    rows = isinstance(value, list) and value and isinstance(value[0], list)
    return {"instances": value if rows else [value]}


def _row(cells: list[str]) -> Any:
    """Numbers where all are; a cell that is alone without a list around it."""
    try:
        values: list[Any] = [float(cell) for cell in cells]
    except ValueError:
        values = list(cells)
    return values if len(values) > 1 else values[0]
