"""Numeric CSV: comma or another delimiter, no header, blank cells are missing values (NaN)."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clary.algorithms.errors import ClientError

_DELIMITERS = ",\t;| "
_UNREADABLE = "Failed to load csv data with exception:"


def find_delimiter(line: str) -> str:
    """The delimiter of a line of numbers; a line without any has one column and any delimiter will do. Raises
    ValueError when a line of several words has no delimiter we know."""
    line = line.strip("\r\n")
    candidates = [each for each in _DELIMITERS if each in line.strip()]
    for each in candidates:
        if all(_is_cell(cell) for cell in line.split(each)):
            return each
    if candidates:
        return candidates[0]
    if _is_cell(line):
        return ","
    raise ValueError("Could not determine delimiter")


def read_csv(files: Sequence[Path], delimiter: str) -> np.ndarray:
    """All rows of all files, float32 (rows, columns). Raises ClientError naming file, line and column."""
    tables: list[np.ndarray] = []
    for path in files:
        table = _read_file(path, delimiter)
        if tables and table.shape[1] != tables[0].shape[1]:
            raise ClientError(
                f"{_UNREADABLE}\nfile {path.name} has {table.shape[1]} columns, "
                f"file {files[0].name} has {tables[0].shape[1]}"
            )
        tables.append(table)
    return tables[0] if len(tables) == 1 else np.concatenate(tables)


def read_csv_text(text: str, delimiter: str) -> np.ndarray:
    """The same for a text in memory; raises ValueError naming line and column."""
    return _parse(text, delimiter)


def first_line(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline()


def _read_file(path: Path, delimiter: str) -> np.ndarray:
    try:
        # the fast way first: numpy's own reader, which knows no blank cells
        return np.loadtxt(path, np.float32, delimiter=delimiter, comments=None, ndmin=2, encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ClientError(f"{_UNREADABLE}\nfile {path.name} is not UTF-8 text: {problem}") from None
    except ValueError:
        pass
    try:
        return _parse(path.read_text(encoding="utf-8-sig"), delimiter)
    except ValueError as problem:
        raise ClientError(f"{_UNREADABLE}\nfile {path.name}, {problem}") from None


def _parse(text: str, delimiter: str) -> np.ndarray:
    mark = re.escape(delimiter)
    filled = re.sub(rf"(?m)(?:^|(?<={mark}))[ \t\r]*?(?={mark}|\r?$)", "nan", text) if delimiter in text else text
    filled = re.sub(r"(?m)^nan\r?$", "", filled) if delimiter in text else filled
    try:
        return np.loadtxt(io.StringIO(filled), np.float32, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError as problem:
        raise ValueError(_what_is_wrong(text, delimiter) or str(problem)) from None


def _what_is_wrong(text: str, delimiter: str) -> str:
    """Which line breaks the table, in words; empty when none does."""
    width = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip("\r"):
            continue
        cells = line.split(delimiter)
        for column, cell in enumerate(cells, 1):
            if not _is_cell(cell):
                header = " (CSV data must have no header line)" if number == 1 else ""
                return f"line {number}, column {column}: '{cell.strip()[:50]}' is not a number{header}"
        if width and len(cells) != width:
            return f"line {number} has {len(cells)} columns, the lines before it have {width}"
        width = len(cells)
    return ""


def _is_cell(cell: str) -> bool:
    if not cell.strip():
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True
