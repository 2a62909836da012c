"""What a script's model server does where the script says nothing, framework by framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clary.algorithms.declaration import split_content_type
from clary.algorithms.serving import InvocationError
from clary.modelserver import encodings

Handlers = Mapping[str, Callable[..., Any]]


def of(framework: str) -> Handlers:
    """By the names of the handlers. Where there is no model_fn the script has to have one."""
    return _FRAMEWORKS[framework]


def _rows(data: str | bytes, content_type: str) -> Any:
    """Numbers, a row for each instance; texts as 32-bit floats, as AWS's container has it."""
    media = split_content_type(content_type)[0]
    array = encodings.decode(data, media)
    array = array.reshape(1, -1) if array.ndim == 1 else array
    if media not in encodings.TEXTS:
        return array
    try:
        return array.astype(np.float32)
    except ValueError as problem:
        raise InvocationError(400, f"{problem}. Please implement input_fn for other than numbers.") from problem


def _matrix(data: str | bytes, content_type: str) -> Any:
    from xgboost import DMatrix

    return DMatrix(_rows(data, content_type))


def _predict(data: Any, model: Any) -> Any:
    return model.predict(data)


def _predict_matrix(data: Any, model: Any) -> Any:
    return model.predict(data, validate_features=False)


def _answer(prediction: Any, accept: str) -> tuple[bytes, str]:
    """In the first of the accepted forms that there is."""
    wanted = [split_content_type(each)[0] for each in accept.split(",")]
    known = [each for each in wanted if each in (encodings.JSON, encodings.CSV, encodings.NPY)]
    form = known[0] if known else accept
    return encodings.encode(prediction, form), form


_FRAMEWORKS: Mapping[str, Handlers] = {
    "scikit-learn": {"input_fn": _rows, "predict_fn": _predict, "output_fn": _answer},
    "xgboost": {"input_fn": _matrix, "predict_fn": _predict_matrix, "output_fn": _answer},
}
