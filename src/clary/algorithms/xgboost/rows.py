"""Who predicts single rows: XGBoost from the start, the fast predictor once it is built and agrees."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from clary.algorithms import log
from clary.algorithms.xgboost.agreement import check_leaves, check_outputs
from clary.algorithms.xgboost.dense import DensePredictor
from clary.algorithms.xgboost.fast import FastRow
from clary.algorithms.xgboost.leaves import Leaves
from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.links import link
from clary.algorithms.xgboost.model import LoadedModel
from clary.algorithms.xgboost.trees import NotBuilt, Tree, base_margins, read_rounds

_HEAD_START = 0.3  # seconds that the server has to come up and give its first answers
_CHECKED_ROWS = 500  # of those made for the splits, that go all the way to the outputs
_CHECKED_AT_ONCE = 20  # of the same, of the trees that are checked together
_CHECKED_REQUESTS = 100
# beyond these the checks take more time and memory than they are worth, and a row is no short request
_MOST_TREES = 5_000
_MOST_CELLS = 10_000_000  # nodes checked together, times columns
_MOST_COLUMNS = 2048
_INSTEAD = "Single rows are predicted by XGBoost itself"

Row = Callable[[Sequence[float]], list[float]]


class SingleRows:
    """`row` predicts one row; ask for it anew each time, for it changes. `seconds` is about what it takes."""

    def __init__(self, exact: DensePredictor, columns: int) -> None:
        self._exact = exact
        self._zeros = [0.0] * columns
        self._use(exact.row)

    def begin(self, model: LoadedModel, objective: str) -> None:
        """Builds the fast predictor meanwhile, and uses it when it has XGBoost's own bits."""
        threading.Thread(target=self._build, args=(model, objective), name="fast-rows", daemon=True).start()

    def _build(self, model: LoadedModel, objective: str) -> None:
        time.sleep(_HEAD_START)
        began = time.monotonic()
        try:
            fast = build(model, objective, self._exact)
        except NotBuilt as why:
            log.info(f"{_INSTEAD}: {why}")
        except Exception as problem:  # whatever it is, XGBoost itself goes on answering
            log.warning(f"{_INSTEAD}: {type(problem).__name__}: {problem}")
        else:
            self.row = self.compared(fast)
            log.info(f"Single rows are predicted by the fast predictor, built in {time.monotonic() - began:.1f} s")

    def compared(self, fast: FastRow) -> Row:
        """The first requests are predicted by both."""
        left = iter(range(_CHECKED_REQUESTS))

        def row(values: Sequence[float]) -> list[float]:
            outputs = self._exact.row(values)
            if fast.row(values) != outputs:
                log.warning(f"{_INSTEAD}: the fast predictor had another answer to a request")
                self._use(self._exact.row)
            elif next(left, None) is None:
                self._use(fast.row)
            return outputs

        return row

    def _use(self, row: Row) -> None:
        self.row = row
        self.seconds = min(self._timed(row) for _ in range(3))

    def _timed(self, row: Row) -> float:
        began = time.perf_counter()
        row(self._zeros)
        return time.perf_counter() - began


def build(model: LoadedModel, objective: str, exact: DensePredictor) -> FastRow:
    """The fast predictor of a model, checked. Raises NotBuilt, which says why there is none."""
    outcome = link(objective)
    if model.columns > _MOST_COLUMNS:
        raise NotBuilt(f"the model has {model.columns} features")
    # a copy of its own: what is asked here is not made for several threads
    booster = xgboost.Booster({"nthread": 1}, model_file=model.booster.save_raw())
    trees: list[Tree] = []
    samples = []
    for rounds in read_rounds(booster, model.rounds or booster.num_boosted_rounds()):
        trees += rounds.trees
        if len(trees) > _MOST_TREES or rounds.nodes * model.columns > _MOST_CELLS:
            raise NotBuilt("the model is too large to be checked in good time")
        rows = check_leaves(booster, rounds)
        samples.append(rows[:: 1 + len(rows) // _CHECKED_AT_ONCE])
    fast = FastRow(trees, Leaves(trees, model.columns), base_margins(booster), outcome)
    checked = np.concatenate(samples)
    check_outputs(exact, fast, checked[:: 1 + len(checked) // _CHECKED_ROWS])
    return fast
