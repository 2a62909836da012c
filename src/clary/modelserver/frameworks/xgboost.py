"""XGBoost's boosters: rows as a DMatrix, of libsvm and RecordIO too, whose features count from 0 and are missing where
a row does not name them."""

from __future__ import annotations

from typing import Any

from xgboost import DMatrix

from clary.algorithms.declaration import split_content_type
from clary.algorithms.xgboost.requests import read_rows
from clary.algorithms.xgboost.spec import LIBSVM, RECORDIO
from clary.modelserver import arrays


def _matrix(data: Any, content_type: str) -> DMatrix:
    if split_content_type(content_type)[0] in (*LIBSVM, *RECORDIO):
        return DMatrix(read_rows(data, content_type, 0))
    return DMatrix(arrays.rows(data, content_type))


def _predict(data: DMatrix, model: Any) -> Any:
    return model.predict(data, validate_features=False)


HANDLERS = {"input_fn": _matrix, "predict_fn": _predict, "output_fn": arrays.answer}
