"""Whether the fast predictor is XGBoost, bit for bit.

For every split of every tree there are rows that come to it: at the threshold, just below it, and with the value
missing. Both libraries must send them to the same leaf. A comparison that is right at its threshold and next to it is
right everywhere, so with these rows all of the model is checked. Some of them then go the whole way to the outputs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from clary.algorithms.xgboost.dense import DensePredictor
from clary.algorithms.xgboost.fast import FastRow
from clary.algorithms.xgboost.leaves import Leaves
from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.trees import NotBuilt, Rounds, Tree

_BELOW, _ABOVE = np.float32(-np.inf), np.float32(np.inf)
_Bounds = dict[int, tuple[np.float32, np.float32]]  # feature -> lowest value, first value that is too high


def check_leaves(booster: xgboost.Booster, rounds: Rounds) -> np.ndarray:
    """The rows that come to the splits of these rounds, float32 (rows, columns). Raises NotBuilt when one of them ends
    in another leaf."""
    columns = booster.num_features()
    rows = np.concatenate([split_rows(tree, columns) for tree in rounds.trees])
    part = booster[rounds.first : rounds.end]  # leaves are only told from a model's first round on
    theirs = part.predict(xgboost.DMatrix(rows, nthread=1), pred_leaf=True, validate_features=False)
    nodes = theirs.reshape(len(rows), -1)[:, rounds.order].astype(np.int64)
    ours = Leaves(rounds.trees, columns).of_rows(rows)
    for tree, wanted, found in zip(rounds.trees, nodes.T, ours.T, strict=True):
        if not np.array_equal(np.array(tree.leaves())[found], wanted):
            raise NotBuilt("a row would end in another leaf")
    return rows


def check_outputs(exact: DensePredictor, fast: FastRow, rows: np.ndarray) -> None:
    """Raises NotBuilt when a row has other outputs."""
    for row, outputs in zip(rows.tolist(), exact.rows(rows).tolist(), strict=True):
        if fast.row(row) != (outputs if isinstance(outputs, list) else [outputs]):
            raise NotBuilt("a row would have another output")


def split_rows(tree: Tree, columns: int) -> np.ndarray:
    """Rows that come to each split: float32 (rows, columns), at least one."""
    rows = [np.zeros(columns, np.float32)]
    for node, bounds in _ways(tree):
        time.sleep(0)  # whoever answers requests goes first
        row = np.zeros(columns, np.float32)
        for feature, (low, high) in bounds.items():
            row[feature] = low if low > _BELOW else np.nextafter(high, _BELOW)
        for value in (tree.value[node], np.nextafter(tree.value[node], _BELOW), np.float32(np.nan)):
            row[tree.feature[node]] = value
            rows.append(row.copy())
    return np.array(rows)


def _ways(tree: Tree) -> Iterator[tuple[int, _Bounds]]:
    """Every split with the bounds within which a row comes to it."""
    waiting: list[tuple[int, _Bounds]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        if tree.left[node] == -1:
            continue
        yield node, bounds
        feature, threshold = tree.feature[node], tree.value[node]
        low, high = bounds.get(feature, (_BELOW, _ABOVE))
        waiting.append((tree.left[node], bounds | {feature: (low, min(high, threshold))}))
        waiting.append((tree.right[node], bounds | {feature: (max(low, threshold), high)}))
