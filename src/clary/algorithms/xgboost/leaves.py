"""Which leaves a row ends in, from LightGBM's library: it has a call made for one row, and its text format can hold
XGBoost's trees as they are.

Only the library is loaded, not the Python package around it, which would import pandas and scikit-learn where it finds
them. Calls keep the interpreter's lock: they are shorter than handing it over and getting it back.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from clary.algorithms.xgboost.trees import NotBuilt, Tree

# LightGBM takes what is nearer to zero than 1e-35 for zero. So scaled, every float32 but zero is larger, bit for bit.
SCALE = 2.0**100

_LEAF_INDEX = 2
_FLOAT64 = 1
_MISSING_IS_NAN, _MISSING_LEFT = 8, 2  # bits of a decision type
_OPTIONS = b"num_threads=1 verbosity=-1"


class Finder:
    """One thread's place to ask: put a row in `row` (float64, times SCALE), call, find a leaf's number for each tree in
    `leaves`."""

    def __init__(self, library: ctypes.PyDLL, handle: ctypes.c_void_p, columns: int, trees: int) -> None:
        self.row = np.zeros(columns, np.float64)
        self.leaves = np.zeros(trees, np.float64)
        self._length = np.zeros(1, np.int64)
        self._library = library
        self._call = library.LGBM_BoosterPredictForMatSingleRowFast
        prepared = ctypes.c_void_p()
        what = (_LEAF_INDEX, 0, -1, _FLOAT64, columns, _OPTIONS)
        check(library, library.LGBM_BoosterPredictForMatSingleRowFastInit(handle, *what, ctypes.byref(prepared)))
        self._arguments = (prepared, *(_address(each) for each in (self.row, self._length, self.leaves)))

    def __call__(self) -> None:
        if self._call(*self._arguments):
            check(self._library, -1)


class Leaves:
    """The trees of a model, for rows of `columns` values. A leaf's number counts the leaves of its tree."""

    def __init__(self, trees: Sequence[Tree], columns: int) -> None:
        self._library = _library()
        self._columns = columns
        self._trees = len(trees)
        self._handle = ctypes.c_void_p()
        loaded = ctypes.c_int()
        text = _text(trees, columns)
        places = (ctypes.byref(loaded), ctypes.byref(self._handle))
        check(self._library, self._library.LGBM_BoosterLoadModelFromString(text, *places))

    def finder(self) -> Finder:
        return Finder(self._library, self._handle, self._columns, self._trees)

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """float32 (rows, columns) -> int64 (rows, trees)."""
        scaled = np.multiply(rows, SCALE, dtype=np.float64)
        leaves = np.empty((len(rows), self._trees), np.float64)
        length = np.zeros(1, np.int64)
        what = (_FLOAT64, len(rows), self._columns, 1, _LEAF_INDEX, 0, -1, _OPTIONS)
        given, *places = (_address(each) for each in (scaled, length, leaves))
        check(self._library, self._library.LGBM_BoosterPredictForMat(self._handle, given, *what, *places))
        return leaves.astype(np.int64)


def check(library: ctypes.PyDLL, status: int) -> None:
    if status:
        raise RuntimeError(library.LGBM_GetLastError().decode(errors="replace"))


def _library() -> ctypes.PyDLL:
    """Raises NotBuilt where it cannot be loaded."""
    package = importlib.util.find_spec("lightgbm")
    if package is None or not package.submodule_search_locations:
        raise NotBuilt("this image environment has no LightGBM")
    try:
        library = ctypes.PyDLL(str(Path(package.submodule_search_locations[0], "lib", "lib_lightgbm.so")))
    except OSError as problem:  # mostly libgomp.so.1, which it takes from the system
        raise NotBuilt(f"LightGBM's library cannot be loaded: {problem}") from problem
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    library.LGBM_SetMaxThreads(1)
    return library


def _address(values: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)


def _text(trees: Sequence[Tree], columns: int) -> bytes:
    """LightGBM's text format, the trees as those of one sum."""
    parts = [f"Tree={number}\n{_tree(tree)}\n\n\n" for number, tree in enumerate(trees)]
    head = {
        "version": "v4",
        "num_class": 1,
        "num_tree_per_iteration": 1,
        "label_index": 0,
        "max_feature_idx": columns - 1,
        "objective": "regression",
        "feature_names": _words(f"f{number}" for number in range(columns)),
        "feature_infos": _words("[-inf:inf]" for _ in range(columns)),
        "tree_sizes": _words(len(part) for part in parts),
    }
    return f"tree\n{_lines(head)}\n\n{''.join(parts)}end of trees\n".encode()


def _tree(tree: Tree) -> str:
    splits, leaves = tree.splits(), tree.leaves()
    number = {node: place for place, node in enumerate(splits)} | {node: ~place for place, node in enumerate(leaves)}
    # XGBoost goes left below the threshold, LightGBM up to it: up to the next smaller double
    limits = np.nextafter(tree.value[splits].astype(np.float64) * SCALE, -np.inf)
    facts: dict[str, object] = {"num_leaves": len(leaves), "num_cat": 0}
    if splits:
        facts |= {
            "split_feature": _words(tree.feature[node] for node in splits),
            "split_gain": _words("0" for _ in splits),
            "threshold": _words(map(repr, limits.tolist())),
            "decision_type": _words(
                _MISSING_IS_NAN | (_MISSING_LEFT if tree.default_left[node] else 0) for node in splits
            ),
            "left_child": _words(number[tree.left[node]] for node in splits),
            "right_child": _words(number[tree.right[node]] for node in splits),
        }
    return _lines(facts | {"leaf_value": _words("0" for _ in leaves), "is_linear": 0, "shrinkage": 1})


def _words(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


def _lines(facts: Mapping[str, object]) -> str:
    return "\n".join(f"{name}={value}" for name, value in facts.items())
