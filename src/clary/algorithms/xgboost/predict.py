"""Answers invocations with an XGBoost model (or several: their mean, or their vote)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from clary.algorithms import log
from clary.algorithms.declaration import split_content_type
from clary.algorithms.serving import NO_HEADERS, Headers, InvocationError, Reply
from clary.algorithms.xgboost import requests, responses
from clary.algorithms.xgboost.dense import DensePredictor
from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.model import load_models, objective_of, widths
from clary.algorithms.xgboost.rows import SingleRows
from clary.algorithms.xgboost.spec import ACCEPTS, PREDICTOR_VARIABLE

_INLINE_BYTES = 4096
_INLINE_CELL = 32  # bytes of one number, at most; where many rows are slow and one is quick
_QUICK = 0.0005  # seconds that one row may take for its prediction to be made without a change of thread
_VOTING = ("multi:softmax", "binary:hinge")
_COMMA_VERSIONS = ("1", "latest", "0.90-1", "0.90-2", "1.0-1", "1.2-1", "1.2-2", "1.3-1")


def load(model: Path, environment: Mapping[str, str]) -> XGBoostPredictor:
    """Reads the model folder. Raises InvocationError 500 when a file in it is no model."""
    return XGBoostPredictor(model, environment)


class XGBoostPredictor:
    """`environment` may choose: SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT, SAGEMAKER_INFERENCE_OUTPUT (keys, see
    responses.SELECTABLE), SAGEMAKER_INFERENCE_ENSEMBLE, SAGEMAKER_BATCH, CLARY_XGBOOST_PREDICTOR (fast: single rows are
    predicted by `fast.FastRow` once it is built; exact: always by XGBoost itself; the bits are the same);
    CLARY_IMAGE_TAG says which image version's form of CSV the client expects."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        models = load_models(folder, environment.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true")
        self._columns = widths(models)
        self._predictors = [DensePredictor(model) for model in models]
        self._single = SingleRows(self._predictors[0], models[0].columns)
        self._slow = self._single.seconds * len(models) >= _QUICK
        self._objective, self._classes = objective_of(models[0])
        self._default_accept = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or "text/csv"
        chosen = environment.get("SAGEMAKER_INFERENCE_OUTPUT", "").replace(" ", "").lower()
        self._keys = chosen.split(",") if chosen else []
        self._batch = bool(environment.get("SAGEMAKER_BATCH"))
        self._commas = (
            environment.get("CLARY_IMAGE_TAG", "").removesuffix("-cpu-py3").removesuffix("-arm64") in _COMMA_VERSIONS
        )
        log.info(f"Model objective : {self._objective}")
        if _wants_fast(environment) and len(models) == 1:
            self._single.begin(models[0], self._objective)

    @property
    def inline_bytes(self) -> int:
        if not self._slow:
            return _INLINE_BYTES
        quick = len(self._predictors) == 1 and self._single.seconds < _QUICK
        return min(_INLINE_BYTES, _INLINE_CELL * self._columns) if quick else 0

    def invoke(self, body: bytes, content_type: str, accept: str, headers: Headers = NO_HEADERS) -> Reply:
        if not body:
            return Reply(b"", "text/plain", 204)
        rows = self._predict(body, content_type)
        wanted = self._accept(accept)
        if self._keys:
            return self._selected(rows, wanted)
        if self._batch:
            return Reply(responses.batch_scores(rows), wanted)
        if self._commas:
            return Reply(responses.comma_scores(rows), "text/csv")
        return Reply(responses.scores(rows, wanted), wanted)

    def _predict(self, body: bytes, content_type: str) -> list[responses.Row]:
        if content_type == "text/csv" and len(self._predictors) == 1 and len(body) <= _INLINE_BYTES:
            values = requests.one_row(body, self._columns)
            if values is not None:
                outputs = self._single.row(values)
                return [outputs[0] if len(outputs) == 1 else outputs]
        given = requests.read_rows(body, content_type, self._columns)
        given = requests.check_width(given, content_type, self._columns)
        try:
            answers = [self._outputs(each, given) for each in self._predictors]
        except xgboost.core.XGBoostError as problem:
            raise InvocationError(400, f"Unable to evaluate payload provided: {problem}") from problem
        rows: list[responses.Row] = self._joined(answers).tolist()
        return rows

    def _outputs(self, predictor: DensePredictor, rows: np.ndarray | csr_matrix) -> np.ndarray:
        return (
            predictor.matrix(xgboost.DMatrix(rows, nthread=1)) if isinstance(rows, csr_matrix) else predictor.rows(rows)
        )

    def _joined(self, answers: list[np.ndarray]) -> np.ndarray:
        if len(answers) == 1:
            return answers[0]
        if self._objective not in _VOTING:
            return np.mean(answers, axis=0)
        votes = np.stack(answers)
        labels = np.unique(votes)
        return labels[np.argmax([(votes == label).sum(axis=0) for label in labels], axis=0)]

    def _accept(self, text: str) -> str:
        if text in ACCEPTS:
            return text
        media = split_content_type(text)[0] if text else ""
        if media in ("", "*/*"):
            return self._default_accept
        if media not in ACCEPTS:
            raise InvocationError(
                406, f"Accept type {media} is not supported. Please use supported accept types: {list(ACCEPTS)}."
            )
        return media

    def _selected(self, rows: list[responses.Row], accept: str) -> Reply:
        try:
            facts = responses.selected(rows, self._keys, self._objective, self._classes)
        except ValueError as problem:
            raise InvocationError(500, str(problem)) from problem
        return Reply(responses.selected_body(facts, self._keys, accept, self._batch), accept)


def _wants_fast(environment: Mapping[str, str]) -> bool:
    wanted = environment.get(PREDICTOR_VARIABLE) or "fast"
    if wanted not in ("exact", "fast"):
        raise InvocationError(500, f"{PREDICTOR_VARIABLE} is {wanted!r}; it can be exact or fast")
    return wanted == "fast"
