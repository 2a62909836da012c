"""The trees of a model as arrays, read out of the library a few rounds at a time: the interpreter is never held for as
long as a request takes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.algorithms.xgboost.library import xgboost

_TREES_AT_A_TIME = 10


class NotBuilt(Exception):
    """The model has what only XGBoost itself predicts; the message says what."""


@dataclass(frozen=True, slots=True)
class Tree:
    """By node: `left` and `right` are children's numbers, -1 at leaves. `value` is the threshold, below which rows go
    left; at leaves the output. A missing value goes left where `default_left`."""

    left: list[int]
    right: list[int]
    feature: list[int]
    value: np.ndarray
    default_left: list[int]

    def splits(self) -> list[int]:
        return [node for node, child in enumerate(self.left) if child != -1]

    def leaves(self) -> list[int]:
        return [node for node, child in enumerate(self.left) if child == -1]


@dataclass(frozen=True, slots=True)
class Rounds:
    """The trees of rounds `first` to `end`, the outputs taking turns: tree n adds to output n modulo `outputs`. `order`
    are their places in the library's own order."""

    first: int
    end: int
    trees: Sequence[Tree]
    outputs: int
    order: np.ndarray

    @property
    def nodes(self) -> int:
        return sum(len(tree.left) for tree in self.trees)


def read_rounds(booster: xgboost.Booster, end: int) -> Iterator[Rounds]:
    """All rounds up to `end`. Raises NotBuilt."""
    step = 1
    first = 0
    while first < end:
        stop = min(first + step, end)
        read = _read(booster, first, stop)
        step = max(1, _TREES_AT_A_TIME * (stop - first) // len(read.trees))
        yield read
        first = stop


def base_margins(booster: xgboost.Booster) -> np.ndarray:
    """What a row starts with, float32 per output: the margins of the first round when all its leaves are nothing."""
    document = _document(booster, 0, 1)
    for tree in document["learner"]["gradient_booster"]["model"]["trees"]:
        values = zip(tree["left_children"], tree["split_conditions"], strict=True)
        tree["split_conditions"] = [0.0 if left == -1 else value for left, value in values]
        tree["base_weights"] = [0.0] * len(tree["base_weights"])
    empty = xgboost.Booster({"nthread": 1}, model_file=bytearray(json.dumps(document).encode()))
    row = xgboost.DMatrix(np.zeros((1, booster.num_features()), np.float32), nthread=1)
    return np.ravel(empty.predict(row, output_margin=True, validate_features=False)).astype(np.float32)


def _read(booster: xgboost.Booster, first: int, end: int) -> Rounds:
    document = _document(booster, first, end)
    kind = document["learner"]["gradient_booster"]["name"]
    if kind != "gbtree":
        raise NotBuilt(f"its booster is {kind}")
    model = document["learner"]["gradient_booster"]["model"]
    groups = np.array(model["tree_info"])
    outputs = int(groups.max()) + 1
    # tree 3 of output 0, tree 3 of output 1, tree 4 of output 0...: each output's own order stays
    order = np.concatenate([np.flatnonzero(groups == each) for each in range(outputs)]).reshape(outputs, -1).T.ravel()
    return Rounds(first, end, [_tree(model["trees"][place]) for place in order], outputs, order)


def _tree(document: dict[str, Any]) -> Tree:
    time.sleep(0)  # whoever answers requests goes first
    if document["categories_nodes"]:
        raise NotBuilt("it has categorical splits")
    if int(document["tree_param"]["size_leaf_vector"]) > 1:
        raise NotBuilt("its leaves are vectors")
    return Tree(
        document["left_children"],
        document["right_children"],
        document["split_indices"],
        np.array(document["split_conditions"], np.float32),
        document["default_left"],
    )


def _document(booster: xgboost.Booster, first: int, end: int) -> dict[str, Any]:
    try:
        part = booster[first:end]
    except xgboost.core.XGBoostError as problem:  # linear boosters have no rounds
        raise NotBuilt("its booster has no trees") from problem
    document: dict[str, Any] = json.loads(bytes(part.save_raw("json")))
    return document
