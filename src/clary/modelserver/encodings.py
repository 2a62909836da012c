"""Requests and answers in the usual forms, for scripts that have no handlers of their own for them: JSON, CSV, npy, and
npz of sparse matrices."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clary.algorithms.serving import InvocationError

JSON, CSV, NPY, NPZ = "application/json", "text/csv", "application/x-npy", "application/x-npz"
TEXTS = (JSON, CSV)


def decode(data: str | bytes, content_type: str) -> Any:
    """An array (a sparse matrix of npz); raises InvocationError 415 for another form, 400 for what cannot be read."""
    decoder = _DECODERS.get(content_type)
    if decoder is None:
        raise InvocationError(
            415,
            f"Content type {content_type} is not supported by this framework. Please implement input_fn to deserialize "
            "the request data.",
        )
    try:
        return decoder(data)
    except (ValueError, TypeError, OSError, KeyError) as problem:
        raise InvocationError(400, f"The request is no {content_type}: {problem}") from problem


def encode(prediction: Any, content_type: str) -> bytes:
    """Raises InvocationError 406 for a form that there is not."""
    encoder = _ENCODERS.get(content_type)
    if encoder is None:
        raise InvocationError(
            406,
            f"Content type {content_type} is not supported by this framework. Please implement output_fn to serialize "
            "the response.",
        )
    return encoder(prediction)


def _read_csv(data: Any) -> Any:
    return np.genfromtxt(io.StringIO(data), delimiter=",", dtype=None if _has_text(data) else float, encoding="utf-8")


def _has_text(data: str) -> bool:
    first = data.partition("\n")[0]
    try:
        _ = [float(cell) for cell in first.split(",") if cell.strip()]
    except ValueError:
        return True
    return False


def _read_npy(data: Any) -> Any:
    return np.load(io.BytesIO(data), allow_pickle=False)  # a pickle would run what the caller wrote


def _read_npz(data: Any) -> Any:
    from scipy import sparse

    return sparse.load_npz(io.BytesIO(data))


def _write_json(prediction: Any) -> bytes:
    return json.dumps(prediction, default=_plain).encode()


def _plain(value: Any) -> Any:
    """What JSON can write of an array, a number or a tensor."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON; please implement output_fn")


def _write_csv(prediction: Any) -> bytes:
    text = io.StringIO()
    np.savetxt(text, np.atleast_1d(np.asarray(prediction)), delimiter=",", fmt="%s")
    return text.getvalue().encode()


def _write_npy(prediction: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, np.asarray(prediction), allow_pickle=False)
    return data.getvalue()


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    JSON: lambda data: np.array(json.loads(data)),
    CSV: _read_csv,
    NPY: _read_npy,
    NPZ: _read_npz,
}
_ENCODERS: Mapping[str, Callable[[Any], bytes]] = {JSON: _write_json, CSV: _write_csv, NPY: _write_npy}
