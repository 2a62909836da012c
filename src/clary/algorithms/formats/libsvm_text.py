"""LIBSVM text: `label[:weight] [qid:n] index:value ...`, a row a line, indices from 0. What is not named is missing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from clary.algorithms.errors import ClientError


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """`features` is a CSR matrix of float32; `weights` and `groups` (query ids) are None where no line has them."""

    features: csr_matrix
    labels: np.ndarray
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None


def read_libsvm(files: Sequence[Path]) -> LabelledRows:
    """All rows of all files. Raises ClientError naming file and line."""
    parts = [_read_file(path) for path in files]
    columns = max(part.features.shape[1] for part in parts)
    rows = sum(part.features.shape[0] for part in parts)
    starts = np.cumsum([0] + [part.features.nnz for part in parts])
    pointers = np.concatenate(
        [parts[0].features.indptr[:1]]
        + [part.features.indptr[1:].astype(np.int64) + start for part, start in zip(parts, starts, strict=False)]
    )
    indices = np.concatenate([part.features.indices for part in parts])
    values = np.concatenate([part.features.data for part in parts])
    return LabelledRows(
        csr_matrix((values, indices, pointers), shape=(rows, columns)),
        np.concatenate([part.labels for part in parts]),
        _joined([part.weights for part in parts]),
        _joined([part.groups for part in parts]),
    )


def features_of(text: str, columns: int) -> csr_matrix:
    """The feature pairs of each line, labels or not, as a CSR matrix at least `columns` wide (what inference gets);
    raises ValueError."""
    indices: list[int] = []
    values: list[float] = []
    pointers = [0]
    for line in text.split("\n"):
        for token in line.split():
            index, colon, value = token.partition(":")
            if colon:
                indices.append(int(index))
                values.append(float(value))
        pointers.append(len(indices))
    width = max(indices, default=-1) + 1
    if indices and min(indices) < 0:
        raise ValueError("negative feature index")
    data = (np.array(values, np.float32), np.array(indices, np.int32), np.array(pointers, np.int64))
    return csr_matrix(data, shape=(len(pointers) - 1, max(width, columns)))


def _joined(arrays: list[np.ndarray | None]) -> np.ndarray | None:
    given = [each for each in arrays if each is not None]
    if not given:
        return None
    if len(given) != len(arrays):
        raise ClientError("Some files of the channel have instance weights or query ids and others have none.")
    return np.concatenate(given)


def _read_file(path: Path) -> LabelledRows:
    data = path.read_bytes()
    rows = _read_plain(data)
    return rows if rows is not None else _read_any(data.decode("utf-8", "replace"), path.name)


def _read_plain(data: bytes) -> LabelledRows | None:
    """Lines of `label index:value ...` only, at the speed of numpy; None when there is more to them (or less)."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    pairs = np.array([line.count(b":") for line in lines], np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a text it cannot read to the end is seen by the count
        try:
            flat = np.fromstring(b"\n".join(lines).replace(b":", b" ").decode("ascii"), np.float64, sep=" ")
        except ValueError:
            return None
    starts = np.cumsum(2 * pairs + 1) - (2 * pairs + 1)
    if not lines or flat.size != len(lines) + 2 * pairs.sum():
        return None
    if any(b":" in line.split(None, 1)[0] or line.count(b":") + 1 != len(line.split()) for line in lines):
        return None
    is_label = np.zeros(flat.size, bool)
    is_label[starts] = True
    rest = flat[~is_label]
    return _rows(rest[0::2], rest[1::2], np.concatenate([[0], np.cumsum(pairs)]), flat[starts])


def _rows(indices: np.ndarray, values: np.ndarray, pointers: np.ndarray, labels: np.ndarray) -> LabelledRows | None:
    columns = indices.astype(np.int64)
    if columns.size and (columns.min() < 0 or not np.array_equal(columns, indices)):
        return None
    width = int(columns.max()) + 1 if columns.size else 0
    matrix = csr_matrix((values.astype(np.float32), columns, pointers), shape=(len(labels), width))
    return LabelledRows(matrix, labels.astype(np.float32))


def _read_any(text: str, name: str) -> LabelledRows:
    """Every form of line; raises ClientError."""
    labels: list[float] = []
    weights: list[float] = []
    groups: list[int] = []
    pairs: list[tuple[int, float]] = []
    pointers = [0]
    for number, line in enumerate(text.splitlines(), 1):
        tokens = line.split("#", 1)[0].split()
        if not tokens:
            continue
        try:
            _read_line(tokens, labels, weights, groups, pairs)
        except ValueError:
            where = "First line" if number == 1 else f"Line {number}"
            raise ClientError(
                f"{where} '{line[:50]}...' of file '{name}' is not 'LIBSVM' format. "
                "Please ensure the file is in 'LIBSVM' format."
            ) from None
        pointers.append(len(pairs))
    for what, given in (("instance weight", weights), ("query id", groups)):
        if given and len(given) != len(labels):
            raise ClientError(f"Some lines of file '{name}' have a {what} and others have none.")
    indices = np.array([index for index, _ in pairs], np.int64)
    values = np.array([value for _, value in pairs], np.float32)
    width = int(indices.max()) + 1 if indices.size else 0
    return LabelledRows(
        csr_matrix((values, indices, np.array(pointers, np.int64)), shape=(len(labels), width)),
        np.array(labels, np.float32),
        np.array(weights, np.float32) if weights else None,
        np.array(groups, np.uint32) if groups else None,
    )


def _read_line(
    tokens: list[str], labels: list[float], weights: list[float], groups: list[int], pairs: list[tuple[int, float]]
) -> None:
    label, colon, weight = tokens[0].partition(":")
    labels.append(float(label))
    if colon:
        weights.append(float(weight))
    for token in tokens[1:]:
        index, colon, value = token.partition(":")
        if not colon:
            raise ValueError(token)
        if index == "qid":
            groups.append(int(value))
        elif int(index) < 0:
            raise ValueError(token)
        else:
            pairs.append((int(index), float(value)))
