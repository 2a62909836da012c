"""SavedModels, found and answered for as TensorFlow Serving does: MODEL/VERSION/saved_model.pb, and the JSON of its
REST API (`predict`, `classify`, `regress`)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from clary.algorithms import log
from clary.algorithms.serving import InvocationError

_DEFAULT_SIGNATURE = "serving_default"
_BINARY = "b64"
_FEATURES = {bytes: "bytes_list", str: "bytes_list", bool: "int64_list", int: "int64_list", float: "float_list"}


def refusal(status: int, message: str) -> InvocationError:
    """In TensorFlow Serving's form."""
    return InvocationError(status, json.dumps({"error": message}))


@dataclass(frozen=True, slots=True)
class Models:
    """All models of an archive, by name and version; `default` is the name where a request has none."""

    default: str
    versions: Mapping[str, Mapping[int, Any]]

    def pick(self, name: str, version: str) -> Any:
        """The newest version where none is named. Raises InvocationError 404."""
        known = self.versions.get(name or self.default, {})
        wanted = version or str(max(known, default=""))
        if not wanted.isdigit() or int(wanted) not in known:
            raise refusal(404, f"Servable not found for request: {name or self.default}/{version or 'latest'}")
        return known[int(wanted)]


def load(folder: Path, default: str) -> Models:
    """Every version of every model below the folder. Raises InvocationError where there is none."""
    found = find(folder)
    if not found:
        raise InvocationError(
            500,
            "no SavedModel bundles found! The archive has to hold VERSION/saved_model.pb, VERSION being a number: "
            "`model.export(os.path.join(model_dir, '1'))` writes one.",
        )
    loaded = {}
    for name, places in found.items():
        log.info(f"SavedModel {name}, version(s) {', '.join(map(str, sorted(places)))}")
        loaded[name] = {version: tf.saved_model.load(str(place)) for version, place in places.items()}
    return Models(default or next(iter(found)), loaded)


def find(folder: Path) -> dict[str, dict[int, Path]]:
    """Model's name -> version -> its folder, in the order of the paths."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.rglob("saved_model.pb")):
        place = path.parent
        if place.name.isdigit() and place != folder:
            found.setdefault(place.parent.name, {})[int(place.name)] = place
    return found


def answer(model: Any, method: str, request: Any) -> dict[str, Any]:
    """What the REST API's method answers to the decoded request. Raises InvocationError 400."""
    asked = _METHODS.get(method)
    if asked is None:
        raise refusal(400, f"Malformed request: there is no method {method}")
    if not isinstance(request, dict):
        raise refusal(400, "The request has to be a JSON object")
    name = request.get("signature_name") or _DEFAULT_SIGNATURE
    try:
        if name not in model.signatures:
            raise refusal(400, f"Serving signature name: {name} not found in signature def")
        return asked(model.signatures[name], request)
    except (tf.errors.OpError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as problem:
        raise refusal(400, f"{type(problem).__name__}: {problem}") from problem


def _predict(signature: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    given = [name for name in ("instances", "inputs") if name in request]
    if len(given) != 1:
        raise refusal(400, "The request has to have 'instances' or 'inputs', and not both")
    specs = signature.structured_input_signature[1]
    if given == ["instances"]:
        outputs = _run(signature, _columns(request["instances"], specs))
        return {"predictions": _rows(outputs)}
    inputs = request["inputs"]
    columns = inputs if _is_named(inputs) else {_only(specs): inputs}
    outputs = {name: _plain(value, name) for name, value in _run(signature, columns).items()}
    return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {_BINARY}


def _only(specs: Mapping[str, Any]) -> str:
    if len(specs) != 1:
        raise refusal(400, f"The model has the inputs {', '.join(sorted(specs))}: name them")
    return next(iter(specs))


def _columns(instances: Any, specs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Of a list of rows a column for each input."""
    if not isinstance(instances, list) or not instances:
        raise refusal(400, "'instances' has to be a list with at least one element")
    if not _is_named(instances[0]):
        return {_only(specs): instances}
    names = instances[0].keys()
    if any(not _is_named(each) or each.keys() != names for each in instances):
        raise refusal(400, "All instances have to have the same keys")
    return {name: [each[name] for each in instances] for name in names}


def _run(signature: Any, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
    specs = signature.structured_input_signature[1]
    if columns.keys() != specs.keys():
        raise refusal(400, f"The model has the inputs {', '.join(sorted(specs))}, not {', '.join(sorted(columns))}")
    tensors = {name: tf.convert_to_tensor(_unpacked(value), specs[name].dtype) for name, value in columns.items()}
    for name, tensor in tensors.items():
        if not specs[name].shape.is_compatible_with(tensor.shape):  # what was loaded does not look itself
            raise refusal(400, f"Input {name} has the shape {tensor.shape}, not {specs[name].shape}")
    return {name: value.numpy() for name, value in signature(**tensors).items()}


def _unpacked(value: Any) -> Any:
    """With bytes where the JSON has {"b64": text}."""
    if isinstance(value, list):
        return [_unpacked(each) for each in value]
    if isinstance(value, dict):
        return base64.b64decode(value[_BINARY])
    return value


def _rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """A row for each instance: its value, or where the model has several outputs its values by their names."""
    columns = {name: _plain(value, name) for name, value in outputs.items()}
    if any(not isinstance(column, list) for column in columns.values()):
        raise refusal(400, "The model's outputs have no batches: ask with 'inputs' instead of 'instances'")
    if len(columns) == 1:
        return list(next(iter(columns.values())))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any, name: str) -> Any:
    """What JSON can write: bytes as text, or as {"b64": text} where the output's name says that they are none."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(each, name) for each in value]
    if isinstance(value, bytes):
        return {_BINARY: base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()
    return value


def _classify(signature: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """For each example pairs of class and score."""
    outputs = _run(signature, _examples(signature, request))
    if "scores" not in outputs:
        raise refusal(400, f"The signature does not classify: its outputs are {', '.join(sorted(outputs))}")
    scores = _plain(outputs["scores"], "scores")
    labels = _plain(outputs["classes"], "classes") if "classes" in outputs else [[""] * len(row) for row in scores]
    return {"results": [list(map(list, zip(*row, strict=True))) for row in zip(labels, scores, strict=True)]}


def _regress(signature: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    outputs = _run(signature, _examples(signature, request))
    if "outputs" not in outputs:
        raise refusal(400, f"The signature does no regression: its outputs are {', '.join(sorted(outputs))}")
    return {"results": outputs["outputs"].reshape(-1).tolist()}


def _examples(signature: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The column of serialised tf.train.Example that such a signature takes."""
    examples, shared = request.get("examples"), request.get("context") or {}
    if not isinstance(examples, list) or not examples:
        raise refusal(400, "'examples' has to be a list with at least one element")
    name = _only(signature.structured_input_signature[1])
    return {name: [{_BINARY: base64.b64encode(_example({**shared, **each}))} for each in examples]}


def _example(features: Mapping[str, Any]) -> bytes:
    made = tf.train.Example()
    for name, given in features.items():
        values: Sequence[Any] = [_unpacked(each) for each in (given if isinstance(given, list) else [given])]
        kind = "float_list" if any(isinstance(each, float) for each in values) else _FEATURES[type(values[0])]
        packed = [each.encode() if isinstance(each, str) else each for each in values]
        getattr(made.features.feature[name], kind).value.extend(packed)
    serialised: bytes = made.SerializeToString()
    return serialised


_METHODS: Mapping[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "predict": _predict,
    "classify": _classify,
    "regress": _regress,
}
