"""Requests as arrays of numbers and predictions in the usual forms: what the frameworks' handlers have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from clary.algorithms.declaration import split_content_type
from clary.algorithms.serving import InvocationError
from clary.modelserver import encodings


def floats(data: str | bytes, content_type: str) -> Any:
    """Numbers as the request has them; texts as 32-bit floats, as AWS's containers have it."""
    media = split_content_type(content_type)[0]
    array = encodings.decode(data, media)
    if media not in encodings.TEXTS:
        return array
    try:
        return array.astype(np.float32)
    except ValueError as problem:
        raise InvocationError(400, f"{problem}. Please implement input_fn for other than numbers.") from problem


def rows(data: str | bytes, content_type: str) -> Any:
    """The same with a row for each instance, also where there is but one."""
    array = floats(data, content_type)
    return array.reshape(1, -1) if array.ndim == 1 else array


def answer(prediction: Any, accept: str) -> tuple[bytes, str]:
    """In the first of the accepted forms that there is."""
    wanted = [split_content_type(each)[0] for each in accept.split(",")]
    known = [each for each in wanted if each in (encodings.JSON, encodings.CSV, encodings.NPY)]
    form = known[0] if known else accept
    return encodings.encode(prediction, form), form
