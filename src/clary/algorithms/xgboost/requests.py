"""Bodies of invocations to feature rows."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from clary.algorithms.declaration import split_content_type
from clary.algorithms.formats.csv_text import find_delimiter, read_csv_text
from clary.algorithms.formats.libsvm_text import features_of
from clary.algorithms.formats.recordio import frames, read_record, stack
from clary.algorithms.serving import InvocationError
from clary.algorithms.xgboost.spec import CSV, LIBSVM, PARQUET, RECORDIO


def one_row(body: bytes, columns: int) -> list[float] | None:
    """The values of a body that is one plain comma-separated row of exactly `columns` numbers, else None: the way that
    most requests take, without a look at delimiters or blank cells."""
    cells = body.split(b",")
    if len(cells) != columns or b"_" in body:  # float() knows 1_000, CSV does not
        return None
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None


def read_rows(body: bytes, content_type: str, columns: int) -> np.ndarray | csr_matrix:
    """Rows of the body: dense (CSV), or sparse at least `columns` wide. Raises InvocationError 415."""
    media, _ = split_content_type(content_type or "text/libsvm")
    if media in CSV:
        return _csv(body)
    if media in LIBSVM:
        return _libsvm(body, columns)
    if media in RECORDIO:
        return _recordio(body, columns)
    if media in PARQUET:
        raise InvocationError(415, f"Content-type {content_type} is not supported.")
    known = ", ".join((*CSV, *LIBSVM, *PARQUET, *RECORDIO))
    raise InvocationError(415, f"{content_type} is not an accepted ContentType: {known}.")


def check_width(rows: np.ndarray | csr_matrix, content_type: str, columns: int) -> np.ndarray | csr_matrix:
    """The rows `columns` wide. A CSV row may lack its last feature, as AWS's container allows. Raises InvocationError
    400 for any other mismatch."""
    width = rows.shape[1]
    if width == columns:
        return rows
    if isinstance(rows, csr_matrix):
        what, wrong = "libsvm", "larger than"
    else:
        if width == columns - 1:
            return np.hstack([rows, np.full((len(rows), 1), np.nan, np.float32)])
        what, wrong = "csv", "not consistent with"
    if split_content_type(content_type)[0] in RECORDIO:
        what = "recordio-protobuf"
    raise InvocationError(
        400,
        f"Unable to evaluate payload provided: Feature size of {what} inference data {width} is {wrong} "
        f"feature size of trained model {columns}.",
    )


def _csv(body: bytes) -> np.ndarray:
    try:
        text = body.strip().decode("utf-8")
        return read_csv_text(text, find_delimiter(text.split("\n", 1)[0]))
    except ValueError as problem:
        raise InvocationError(415, _unreadable("csv", problem)) from problem


def _libsvm(body: bytes, columns: int) -> csr_matrix:
    try:
        return features_of(body.strip().decode("utf-8"), columns)
    except ValueError as problem:
        raise InvocationError(415, _unreadable("libsvm", problem)) from problem


def _recordio(body: bytes, columns: int) -> csr_matrix:
    try:
        return stack([read_record(payload)[0] for payload in frames(body)], columns)
    except ValueError as problem:
        raise InvocationError(415, _unreadable("recordio-protobuf", problem)) from problem


def _unreadable(what: str, problem: Exception) -> str:
    return (
        f"Loading {what} data failed with Exception, please ensure data is in {what} format:\n"
        f" {type(problem)}\n {problem}"
    )
