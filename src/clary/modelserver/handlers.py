"""A model served by a script of the user's: model_fn, then input_fn, predict_fn and output_fn, or transform_fn; what it
leaves out is as AWS's inference toolkit and the framework's container have it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from clary.algorithms import log
from clary.algorithms.declaration import split_content_type
from clary.algorithms.serving import InvocationError, Predictor, Reply
from clary.contract.layout import Layout
from clary.modelserver import defaults, encodings

_DEFAULT_PROGRAM = "inference.py"
_PARTS = ("input_fn", "predict_fn", "output_fn")
_NAMES = ("pre_model_fn", "model_fn", "model_warmup_fn", "transform_fn", *_PARTS)

Handler = Callable[..., Any]


def load(layout: Layout, environment: Mapping[str, str]) -> Predictor:
    """The loaded model. What the script itself raises is passed on; InvocationError for what it lacks."""
    framework = environment.get("CLARY_FRAMEWORK", "")
    module = _module(layout, environment)
    if framework == "tensorflow":  # AWS serves it with other handlers than the rest
        from clary.modelserver.frameworks import tensorflow

        return tensorflow.load(layout.model, module, environment)
    named = {name: getattr(module, name) for name in _NAMES if hasattr(module, name)}
    if "transform_fn" in named and not named.keys().isdisjoint(_PARTS):
        raise InvocationError(
            500,
            "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn "
            "implementation",
        )
    handlers = {**defaults.of(framework), **named}
    if "model_fn" not in handlers:
        raise InvocationError(500, f"Please provide a model_fn implementation in {_program(environment)}.")
    folder = str(layout.model)
    if "pre_model_fn" in handlers:
        _call(handlers["pre_model_fn"], folder)
    model = _call(handlers["model_fn"], folder)
    if "model_warmup_fn" in handlers:
        _call(handlers["model_warmup_fn"], folder, model)
    return ScriptPredictor(model, handlers, environment)


def _program(environment: Mapping[str, str]) -> str:
    return environment.get("SAGEMAKER_PROGRAM") or _DEFAULT_PROGRAM


def _module(layout: Layout, environment: Mapping[str, str]) -> ModuleType | None:
    """The user's module, from where the code is: what came from S3, the model's own `code`, or a folder that is named.
    None where nobody gave one."""
    given = environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "").removeprefix("file://")
    folders = [layout.code, layout.model / "code", *([Path(given)] if given.startswith("/") else [])]
    sys.path[:0] = [str(each) for each in folders]
    importlib.invalidate_caches()
    name = _program(environment).removesuffix(".py").replace("/", ".")
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # a folder of the name is not there
        found = None
    if found is None and environment.get("SAGEMAKER_PROGRAM"):
        raise InvocationError(500, f"{environment['SAGEMAKER_PROGRAM']} is not in the code of this model.")
    return importlib.import_module(name) if found else None


def _call(handler: Handler, *arguments: Any) -> Any:
    """AWS's toolkit hands its model server's context to handlers that have one more parameter. There is none here."""
    parameters = inspect.signature(handler).parameters.values()
    needed = [each for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    if len(needed) == len(arguments) + 1:
        raise InvocationError(
            500, f"{handler.__name__} takes a context, which is not built in Clary. Please leave that parameter out."
        )
    return handler(*arguments)


class ScriptPredictor:
    """Implements clary.algorithms.serving.Predictor. Handlers need not be safe for threads: one request at a time, or
    as many as SAGEMAKER_MODEL_SERVER_WORKERS says."""

    inline_bytes = 0  # nobody knows how long a script takes

    def __init__(self, model: Any, handlers: Mapping[str, Handler], environment: Mapping[str, str]) -> None:
        self._model = model
        self._handlers = handlers
        self._accept = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or encodings.JSON
        self._turns = threading.Semaphore(int(environment.get("SAGEMAKER_MODEL_SERVER_WORKERS") or 1))

    def invoke(self, body: bytes, content_type: str, accept: str, attributes: str = "") -> Reply:
        wanted = self._accept if accept in ("", "*/*") else accept
        text = split_content_type(content_type)[0] in encodings.TEXTS
        try:
            data = body.decode() if text else body
            with self._turns:
                answer = self._transform(data, content_type, wanted)
        except InvocationError:
            raise
        except Exception as problem:  # of the user's code, whatever it raises
            traceback.print_exc()
            raise InvocationError(500, f"{problem}\n{traceback.format_exc()}") from problem
        answer, form = answer if isinstance(answer, tuple) else (answer, wanted)
        return Reply(_bytes(answer), form)

    def _transform(self, data: str | bytes, content_type: str, accept: str) -> Any:
        handlers = self._handlers
        if "transform_fn" in handlers:
            return _call(handlers["transform_fn"], self._model, data, content_type, accept)
        given = _call(handlers["input_fn"], data, content_type)
        return _call(handlers["output_fn"], _call(handlers["predict_fn"], given, self._model), accept)


def _bytes(answer: Any) -> bytes:
    if isinstance(answer, str):
        return answer.encode()
    if isinstance(answer, bytes | bytearray | memoryview):
        return bytes(answer)
    log.error(f"the handler's answer is a {type(answer).__name__}")
    raise InvocationError(500, f"The handler's answer is a {type(answer).__name__}; it has to be text or bytes.")
