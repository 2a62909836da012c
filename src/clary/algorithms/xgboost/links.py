"""From margins (the sums of the trees) to outputs, with the very operations of the library: float32 throughout, and the
exponential of the C library that XGBoost calls."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from clary.algorithms.xgboost.trees import NotBuilt

Link = Callable[[np.ndarray], list[float]]

_IDENTITY = (
    *("reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"),
    *("binary:logitraw", "rank:pairwise", "rank:ndcg", "rank:map"),
)
_LOGISTIC = ("binary:logistic", "reg:logistic")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
_LARGEST = np.float32(88.7)  # beyond it the library's sigmoid does not look
_ONE = np.float32(1)


def link(objective: str) -> Link:
    """margins, float32 (outputs,) -> outputs. Raises NotBuilt."""
    if objective in _IDENTITY:
        return _identity
    if objective == "binary:hinge":
        return lambda margins: [1.0 if margin > 0 else 0.0 for margin in margins]
    if objective == "multi:softmax":
        return lambda margins: [float(margins.argmax())]
    if objective in _LOGISTIC:
        return _logistic(_exponential())
    if objective in _EXPONENTIAL:
        exponential = _exponential()
        return lambda margins: [exponential(margin) for margin in margins]
    if objective == "multi:softprob":
        return _softmax(_exponential())
    raise NotBuilt(f"its objective is {objective}")


def _identity(margins: np.ndarray) -> list[float]:
    values: list[float] = margins.tolist()
    return values


def _logistic(exponential: Callable[[float], float]) -> Link:
    def outputs(margins: np.ndarray) -> list[float]:
        return [float(_ONE / (np.float32(exponential(min(-margin, _LARGEST))) + _ONE)) for margin in margins]

    return outputs


def _softmax(exponential: Callable[[float], float]) -> Link:
    def outputs(margins: np.ndarray) -> list[float]:
        powers = [exponential(margin) for margin in margins - margins.max()]
        total = np.float32(sum(powers))  # the library, too, adds in double
        return [float(np.float32(power) / total) for power in powers]

    return outputs


def _exponential() -> Callable[[float], float]:
    try:
        function = ctypes.PyDLL("libm.so.6").expf
    except (OSError, AttributeError) as problem:
        raise NotBuilt("the C library's expf cannot be found") from problem
    function.argtypes = [ctypes.c_float]
    function.restype = ctypes.c_float
    return function
