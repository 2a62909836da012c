"""One row at a time: the same bits as XGBoost's in a fraction of its time.

XGBoost spends a single row's time around its trees: it compiles a regular expression and walks every node of the model
to measure its depth. Here LightGBM says which leaves the row ends in, and the leaves' outputs are summed in XGBoost's
order and precision. `clary.algorithms.xgboost.agreement` holds the outcome to XGBoost's.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from clary.algorithms.xgboost.leaves import SCALE, Leaves
from clary.algorithms.xgboost.links import Link
from clary.algorithms.xgboost.trees import Tree


class _Place(threading.local):
    """One thread's arrays."""

    def __init__(self, leaves: Leaves, trees: int, base: np.ndarray) -> None:
        self.find = leaves.finder()
        self.row = np.zeros_like(self.find.row, np.float32)
        self.scale = np.full_like(self.find.row, SCALE)
        terms = np.concatenate([base, np.zeros(trees, np.float32)])
        self.outputs = terms[len(base) :]
        self.terms = terms.reshape(-1, len(base)) if len(base) > 1 else terms
        self.sums = np.zeros_like(self.terms)


class FastRow:
    """`base`: what a row starts with, float32 per output. `trees` take turns: tree n adds to output n modulo the number
    of outputs."""

    def __init__(self, trees: Sequence[Tree], leaves: Leaves, base: np.ndarray, link: Link) -> None:
        outputs = [tree.value[tree.leaves()] for tree in trees]
        self._outputs = np.concatenate(outputs)
        # where a tree's leaves begin in _outputs; of the type in which leaves are told
        self._first = np.cumsum([0, *map(len, outputs[:-1])]).astype(np.float64)
        self._link = link
        self._one = len(base) == 1
        self._place = _Place(leaves, len(trees), base)

    def row(self, values: Sequence[float]) -> list[float]:
        """The outputs of one row; NaN is missing."""
        place = self._place
        place.row[:] = values
        np.multiply(place.row, place.scale, place.find.row)
        place.find()
        numbers = np.add(place.find.leaves, self._first, place.find.leaves).astype(np.int64)
        self._outputs.take(numbers, out=place.outputs, mode="clip")
        np.add.accumulate(place.terms, out=place.sums)
        return self._link(place.sums[-1:] if self._one else place.sums[-1])
