"""Predictions to bodies of answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from clary.algorithms.formats.recordio import write_records

# what each objective can say of a row
_REGRESSION = ("predicted_score",)
_CLASSES = ("predicted_label", "labels", "raw_score", "raw_scores")
_PROBABILITIES = (*_CLASSES, "probability", "probabilities")
SELECTABLE: Mapping[str, tuple[str, ...]] = {
    "reg:squarederror": _REGRESSION,
    "reg:logistic": _REGRESSION,
    "reg:gamma": _REGRESSION,
    "reg:absoluteerror": _REGRESSION,
    "reg:tweedie": _REGRESSION,
    "binary:logistic": _PROBABILITIES,
    "binary:logitraw": _CLASSES,
    "binary:hinge": _CLASSES,
    "multi:softmax": _CLASSES,
    "multi:softprob": _PROBABILITIES,
}

Row = float | list[float]


def scores(rows: Sequence[Row], accept: str) -> bytes:
    """Plain predictions, one per row; a row of several classes is a list."""
    if accept == "application/json":
        return json.dumps({"predictions": [{"score": row} for row in rows]}).encode()
    if accept == "application/jsonlines":
        return "".join(json.dumps({"score": row}) + "\n" for row in rows).encode()
    if accept == "application/x-recordio-protobuf":
        return write_records([{"score": row if isinstance(row, list) else [row]} for row in rows])
    return "".join([f"{_joined(row)}\n" for row in rows]).encode()


def comma_scores(rows: Sequence[Row]) -> bytes:
    """The images before 1.5 answer one line whatever the caller accepts."""
    return ",".join(map(str, rows)).encode()


def batch_scores(rows: Sequence[Row]) -> bytes:
    """For batch transform: a line for each row."""
    return "".join(f"{row}\n" for row in rows).encode()


def selected(rows: Sequence[Row], keys: Sequence[str], objective: str, classes: int) -> list[dict[str, Any]]:
    """The chosen facts of each row; a key that the objective has not is NaN. Raises ValueError for an objective that
    offers no choice."""
    if objective not in SELECTABLE:
        raise ValueError(f"Objective `{objective}` unsupported for selectable inference predictions.")
    valid = SELECTABLE[objective]
    return [{key: _fact(key, row, objective, classes) if key in valid else math.nan for key in keys} for row in rows]


def selected_body(facts: Sequence[Mapping[str, Any]], keys: Sequence[str], accept: str, batch: bool) -> bytes:
    if accept == "application/json":
        return json.dumps({"predictions": facts}).encode()
    if accept == "application/jsonlines":
        return "".join(json.dumps(each) + "\n" for each in facts).encode()
    if accept == "application/x-recordio-protobuf":
        return write_records([{key: _as_list(each[key]) for key in keys} for each in facts])
    text = "\n".join(",".join(_cell(each[key]) for key in keys) for each in facts)
    return f"{text}\n".encode() if batch else text.encode()


def _fact(key: str, row: Row, objective: str, classes: int) -> Any:
    if key == "labels":
        return [0, 1] if objective.startswith("binary:") else list(range(classes))
    if isinstance(row, list):
        by_key = {"predicted_label": row.index(max(row)), "probability": max(row), "raw_score": max(row)}
        return by_key.get(key, row)
    if key == "predicted_label":
        return _label(row, objective)
    if key in ("probabilities", "raw_scores"):
        return [1.0 - row, row]
    return row


def _label(value: float, objective: str) -> float:
    if objective == "binary:logistic":
        return int(value > 0.5)
    if objective == "binary:logitraw":
        return int(value > 0)
    return value


def _joined(row: Row) -> str:
    return ",".join(map(str, row)) if isinstance(row, list) else repr(row)


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _as_list(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]
