"""Metrics that AWS's container has and the library has not, from labels and predictions as the library hands them out
(probabilities, classes or margins, by objective)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.rules import LABEL_METRICS, VALUE_METRICS

Evaluation = Callable[[np.ndarray, xgboost.DMatrix], list[tuple[str, float]]]


def split_metrics(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the library's own, those of this module), each in the order given."""
    ours = [name for name in names if name in LABEL_METRICS or name in VALUE_METRICS]
    return [name for name in names if name not in ours], ours


def evaluation(names: Sequence[str], objective: str) -> Evaluation:
    """A `custom_metric` for xgboost.train that computes `names` after each round."""

    def evaluate(predictions: np.ndarray, data: xgboost.DMatrix) -> list[tuple[str, float]]:
        truth = data.get_label()
        classes = predicted_classes(predictions, objective) if any(name in LABEL_METRICS for name in names) else None
        return [(name, _value(name, truth, predictions, classes)) for name in names]

    return evaluate


def predicted_classes(predictions: np.ndarray, objective: str) -> np.ndarray:
    if predictions.ndim == 2:
        return np.argmax(predictions, axis=1)
    if objective == "binary:logistic":
        return (predictions > 0.5).astype(np.int64)
    if objective == "binary:logitraw":
        return (predictions > 0).astype(np.int64)
    return predictions.astype(np.int64)


def _value(name: str, truth: np.ndarray, predictions: np.ndarray, classes: np.ndarray | None) -> float:
    if name == "mse":
        return float(np.mean((truth - predictions) ** 2))
    if name == "r2":
        total = float(np.sum((truth - truth.mean()) ** 2))
        missed = float(np.sum((truth - predictions) ** 2))
        return 1 - missed / total if total else float(missed == 0)
    return _label_metric(name, truth.astype(np.int64), classes)


def _label_metric(name: str, truth: np.ndarray, predicted: np.ndarray) -> float:
    labels, positions = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (positions[: len(truth)], positions[len(truth) :]), 1)
    hits = np.diag(counts).astype(float)
    in_truth, in_prediction = counts.sum(axis=1), counts.sum(axis=0)
    kind, _, average = name.partition("_")
    if name in ("accuracy", "precision_micro", "recall_micro"):  # one and the same where each row has one class
        return float(hits.sum() / len(truth))
    if name == "balanced_accuracy":
        return float(np.mean(hits[in_truth > 0] / in_truth[in_truth > 0]))
    per_class = {
        "precision": _ratio(hits, in_prediction),
        "recall": _ratio(hits, in_truth),
        "f1": _ratio(2 * hits, in_truth + in_prediction),
    }[kind]
    if average == "macro" or name == "f1":
        return float(per_class.mean())
    positive = np.flatnonzero(labels == 1)
    return float(per_class[positive[0]]) if positive.size else 0.0


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
