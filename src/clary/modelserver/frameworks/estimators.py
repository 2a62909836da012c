"""Models with `predict`, as scikit-learn has them: rows of numbers in, an array out. Which file holds the model, and
how it is read, only the script can say."""

from __future__ import annotations

from typing import Any

from clary.modelserver import arrays


def _predict(data: Any, model: Any) -> Any:
    return model.predict(data)


HANDLERS = {"input_fn": arrays.rows, "predict_fn": _predict, "output_fn": arrays.answer}
