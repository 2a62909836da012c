"""Hugging Face: a pipeline of Transformers for the model's files, as AWS's inference toolkit makes it of HF_TASK or,
where that is not given, of the model's architecture."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# The library reads it when it is loaded. A sandbox does not reach the hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import transformers
from PIL import Image, UnidentifiedImageError

from clary.algorithms.declaration import split_content_type
from clary.algorithms.serving import InvocationError
from clary.modelserver import arrays, encodings

_HEADINGS = ("question", "context", "inputs")
# What the name of an architecture ends with, and the task that it is for.
_TASKS = {
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForImageClassification": "image-classification",
}


def _load(model_dir: str) -> Any:
    named = os.environ.get("HF_MODEL_ID", "")
    if named and not (named.startswith("/") and Path(named).is_dir()):
        raise InvocationError(
            500,
            f"HF_MODEL_ID ({named}) names a model on the Hugging Face Hub, which no sandbox reaches. Give the model's "
            "files as model_data, and as HF_MODEL_ID nothing or their folder, /opt/ml/model.",
        )
    folder = named or model_dir
    trusted = os.environ.get("HF_TRUST_REMOTE_CODE", "").lower() in ("1", "true", "yes", "on")
    task = os.environ.get("HF_TASK") or _task(Path(folder, "config.json"))
    return transformers.pipeline(task, model=folder, trust_remote_code=trusted)


def _task(config: Path) -> str:
    """Of the model with this config.json. Raises InvocationError."""
    architectures = json.loads(config.read_bytes()).get("architectures") if config.exists() else None
    for architecture in architectures or ():
        for end, task in _TASKS.items():
            if architecture.endswith(end):
                return task
    raise InvocationError(
        500, f"The task does not follow from the model's architecture ({architectures}). Name it by HF_TASK."
    )


def _read(data: Any, content_type: str) -> Any:
    """What the pipeline is given: "inputs" and "parameters" of JSON, CSV with a line of headings, a picture."""
    media = split_content_type(content_type)[0]
    reader = _READERS.get(media) or (_picture if media.startswith("image/") else None)
    if reader is None:
        raise InvocationError(
            415, f"Content type {content_type} is not supported by this framework. Please implement input_fn."
        )
    try:
        return reader(data)
    except (ValueError, UnidentifiedImageError) as problem:
        raise InvocationError(400, f"The request is no {media}: {problem}") from problem


def _rows(text: str) -> dict[str, Any]:
    found = list(csv.DictReader(io.StringIO(text)))
    if not found or not any(name in _HEADINGS for name in found[0]):
        raise ValueError(f"its first line has to name the columns, one of {', '.join(_HEADINGS)} among them")
    return {"inputs": [row["inputs"] for row in found] if "inputs" in found[0] else found}


def _picture(data: bytes) -> dict[str, Any]:
    return {"inputs": Image.open(io.BytesIO(data)).convert("RGB")}


def _predict(data: Any, model: Any) -> Any:
    if not isinstance(data, dict):
        return model(data)
    parameters = data.pop("parameters", None) or {}
    return model(data.pop("inputs", data), **parameters)


def _answer(prediction: Any, accept: str) -> tuple[bytes, str]:
    """JSON and npy as for other frameworks; of a list of objects as CSV their names are the first line."""
    if split_content_type(accept)[0] != encodings.CSV or not (prediction and isinstance(prediction[0], dict)):
        return arrays.answer(prediction, accept)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(prediction[0]))
    writer.writeheader()
    writer.writerows(prediction)
    return text.getvalue().encode(), encodings.CSV


_READERS: Mapping[str, Callable[[Any], Any]] = {encodings.JSON: json.loads, encodings.CSV: _rows}

HANDLERS = {"model_fn": _load, "input_fn": _read, "predict_fn": _predict, "output_fn": _answer}
