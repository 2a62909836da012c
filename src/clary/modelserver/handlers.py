"""A model served by a script of the user's: model_fn, then input_fn, predict_fn and output_fn, or transform_fn; what it
leaves out is as AWS's inference toolkit and the framework's container have it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import queue
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from clary.algorithms import log
from clary.algorithms.declaration import split_content_type
from clary.algorithms.serving import NO_HEADERS, Headers, InvocationError, Predictor, Reply
from clary.contract.layout import Layout
from clary.modelserver import defaults, encodings
from clary.modelserver.context import Context, Handler, with_context

_DEFAULT_PROGRAM = "inference.py"
_PARTS = ("input_fn", "predict_fn", "output_fn")
# How many arguments each is called with, beside the context.
_ARGUMENTS = {"pre_model_fn": 1, "model_fn": 1, "model_warmup_fn": 2, "transform_fn": 4, **dict.fromkeys(_PARTS, 2)}
# Whose images on AWS have a model server with a context. The others' leave parameters alone that have a default.
_WITH_CONTEXT = ("pytorch", "huggingface")


def load(layout: Layout, environment: Mapping[str, str]) -> Predictor:
    """The loaded model. What the script itself raises is passed on; InvocationError for what it lacks."""
    framework = environment.get("CLARY_FRAMEWORK", "")
    module = _module(layout, environment)
    if framework == "tensorflow":  # AWS serves it with other handlers than the rest
        from clary.modelserver.frameworks import tensorflow

        return tensorflow.load(layout.model, module, environment)
    named = {name: getattr(module, name) for name in _ARGUMENTS if hasattr(module, name)}
    if "transform_fn" in named and not named.keys().isdisjoint(_PARTS):
        raise InvocationError(
            500,
            "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn "
            "implementation",
        )
    every = {**defaults.of(framework), **named}
    if "model_fn" not in every:
        raise InvocationError(500, f"Please provide a model_fn implementation in {_program(environment)}.")
    handlers = {
        name: with_context(handler, _ARGUMENTS[name], framework in _WITH_CONTEXT) for name, handler in every.items()
    }
    workers = max(1, int(environment.get("SAGEMAKER_MODEL_SERVER_WORKERS") or 1))
    contexts = [Context(layout.model) for _ in range(workers)]
    model = _loaded(contexts[0], str(layout.model), handlers)
    return ScriptPredictor(model, handlers, contexts, environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", ""))


def _loaded(context: Context, folder: str, handlers: Mapping[str, Handler]) -> Any:
    if "pre_model_fn" in handlers:
        handlers["pre_model_fn"](context, folder)
    model = handlers["model_fn"](context, folder)
    if "model_warmup_fn" in handlers:
        handlers["model_warmup_fn"](context, folder, model)
    return model


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


class ScriptPredictor:
    """Implements clary.algorithms.serving.Predictor. Handlers need not be safe for threads: as many requests at a time
    as there are contexts, which is what SAGEMAKER_MODEL_SERVER_WORKERS says, or one. `accept` is for requests that name
    no form, JSON where it is empty."""

    inline_bytes = 0  # nobody knows how long a script takes

    def __init__(self, model: Any, handlers: Mapping[str, Handler], contexts: Iterable[Context], accept: str) -> None:
        self._model = model
        self._handlers = handlers
        self._accept = accept or encodings.JSON
        self._turns: queue.SimpleQueue[Context] = queue.SimpleQueue()  # who has one of them has its turn
        for each in contexts:
            self._turns.put(each)

    def invoke(self, body: bytes, content_type: str, accept: str, headers: Headers = NO_HEADERS) -> Reply:
        wanted = self._accept if accept in ("", "*/*") else accept
        text = split_content_type(content_type)[0] in encodings.TEXTS
        context = self._turns.get()
        try:
            context.begin(headers)
            data = body.decode() if text else body
            answer = self._transform(context, data, content_type, wanted)
            answer, form = answer if isinstance(answer, tuple) else (answer, wanted)
            return context.reply(_bytes(answer), form)
        except InvocationError:
            raise
        except Exception as problem:  # of the user's code, whatever it raises
            told = _traceback(problem)
            sys.stderr.write(told)
            raise InvocationError(500, f"{problem}\n{told}") from problem
        finally:
            self._turns.put(context)

    def _transform(self, context: Context, data: str | bytes, content_type: str, accept: str) -> Any:
        handlers = self._handlers
        if "transform_fn" in handlers:
            return handlers["transform_fn"](context, self._model, data, content_type, accept)
        given = handlers["input_fn"](context, data, content_type)
        return handlers["output_fn"](context, handlers["predict_fn"](context, given, self._model), accept)


def _traceback(problem: Exception) -> str:
    """Without this server's own frames before those of the user's code: an answer shows the beginning only."""
    frame = problem.__traceback__
    while frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("clary."):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(problem), problem, frame or problem.__traceback__))


def _bytes(answer: Any) -> bytes:
    """What is neither text nor bytes as JSON, as AWS's model servers have it."""
    if isinstance(answer, str):
        return answer.encode()
    if isinstance(answer, bytes | bytearray | memoryview):
        return bytes(answer)
    try:
        return json.dumps(answer, indent=2).encode()
    except TypeError:
        log.error(f"the handler's answer is a {type(answer).__name__}")
        raise InvocationError(
            500, f"The handler's answer is a {type(answer).__name__}; it has to be text, bytes, or what JSON can write."
        ) from None
