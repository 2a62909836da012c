"""What XGBoost's hyperparameters and metrics are, beyond single ranges. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.algorithms.errors import ClientError

MAXIMIZED = (
    "accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg", "precision",
    "precision_macro", "precision_micro", "r2", "recall", "recall_macro", "recall_micro",
)  # fmt: skip
MINIMIZED = (
    "aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik", "interval-regression-accuracy",
    "logloss", "mae", "mape", "merror", "mlogloss", "mphe", "mse", "poisson-nloglik", "rmse", "rmsle",
    "tweedie-nloglik",
)  # fmt: skip
OBJECTIVES = (
    "binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson", "multi:softmax", "multi:softprob",
    "rank:pairwise", "rank:ndcg", "rank:map", "reg:linear", "reg:squarederror", "reg:logistic", "reg:gamma",
    "reg:pseudohubererror", "reg:squaredlogerror", "reg:absoluteerror", "reg:tweedie", "survival:aft", "survival:cox",
)  # fmt: skip

# metrics that the library has not and that AWS's container adds
LABEL_METRICS = (
    "accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "precision", "precision_macro", "precision_micro",
    "recall", "recall_macro", "recall_micro",
)  # fmt: skip
VALUE_METRICS = ("mse", "r2")
_TWO_CLASS_METRICS = ("f1_binary", "precision", "recall")

_GROWERS = ("grow_colmaker", "grow_histmaker", "grow_quantile_histmaker", "distcol")
_TREE_UPDATERS = (*_GROWERS, "grow_skmaker", "sync", "refresh", "prune")
_LINEAR_UPDATERS = ("shotgun", "coord_descent")
_GONE_UPDATERS = ("distcol", "grow_skmaker")
UPDATERS = (*_TREE_UPDATERS, *_LINEAR_UPDATERS)


def known_metric(metric: str) -> bool:
    """Whether `eval_metric` may name it; `error@t`, `ndcg@n` and `map@n` carry a threshold. Raises ClientError."""
    name, at, threshold = metric.partition("@")
    if not at:
        return metric in MAXIMIZED or metric in MINIMIZED
    if name not in ("error", "ndcg", "map"):
        raise ClientError(
            f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized threshold should be one of "
            "these options: 'error', 'ndcg', 'map'."
        )
    try:
        float(threshold.rstrip("-"))
    except ValueError:
        raise ClientError(f"Threshold value 't' in '{name}@t' expects float input.") from None
    return True


def objective(values: Mapping[str, Any]) -> str:
    return str(values.get("objective", "reg:squarederror"))


def check_classes(values: Mapping[str, Any]) -> None:
    if objective(values).startswith("multi:") and "num_class" not in values:
        raise ClientError("Require input for parameter 'num_class' for multi-classification")
    if "num_class" in values and not objective(values).startswith("multi:"):
        raise ClientError(
            "Do not need to setup parameter 'num_class' for learning task other than multi-classification."
        )


def check_metrics(values: Mapping[str, Any]) -> None:
    goal = objective(values)
    for metric in values.get("eval_metric", ()):
        if metric == "auc" and not goal.startswith(("binary:", "rank:")):
            raise ClientError("Metric 'auc' can only be applied for classification and ranking problems.")
        if metric == "aft-nloglik" and goal != "survival:aft":
            raise ClientError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")
        if metric in LABEL_METRICS and not goal.startswith(("binary:", "multi:")):
            raise ClientError(f"Metric '{metric}' can only be applied for classification problems.")
        if metric in _TWO_CLASS_METRICS and values.get("num_class", 2) > 2:
            raise ClientError(f"Metric '{metric}': Target is multiclass but average='binary'.")


def check_updater(values: Mapping[str, Any]) -> None:
    updaters = values.get("updater")
    if updaters is None:
        return
    if values.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR_UPDATERS:
            raise ClientError("Linear updater should be one of these options: 'shotgun', 'coord_descent'.")
        return
    if values.get("process_type") == "update" and not set(updaters) <= {"refresh", "prune"}:
        raise ClientError("process_type 'update' can only be used with updater 'refresh' and 'prune'")
    if not set(updaters) <= set(_TREE_UPDATERS):
        raise ClientError(f"Tree updater should be selected from these options: {_quoted(_TREE_UPDATERS)}.")
    if sum(each in _GROWERS for each in updaters) > 1:
        raise ClientError(
            f"Only one tree grow plugin can be selected. Choose one from the following: {_quoted(_GROWERS)}"
        )
    for each in updaters:
        if each in _GONE_UPDATERS:
            raise ClientError(f"Hyperparameter updater: the XGBoost of this image has no '{each}' any more.")


def check_constraints(values: Mapping[str, Any]) -> None:
    method = values.get("tree_method")
    if "monotone_constraints" in values and method not in ("exact", "hist"):
        raise ClientError(
            "monotone_constraints can be used only when the tree_method parameter is set to either 'exact' or 'hist'."
        )
    if "interaction_constraints" in values and method not in ("exact", "hist", "approx"):
        raise ClientError(
            "interaction_constraints can be used only when the tree_method parameter is set to either 'exact', 'hist' "
            "or 'approx'."
        )


def check_not_built(values: Mapping[str, Any]) -> None:
    """Options of AWS's container that Clary does not have yet: refused, never ignored."""
    if values.get("tree_method") == "gpu_hist" or values.get("predictor") == "gpu_predictor":
        raise ClientError("GPU training of the built-in XGBoost is not built in Clary yet; use tree_method 'hist'.")
    if values.get("use_dask_gpu_training") == "true":
        raise ClientError("use_dask_gpu_training is not built in Clary yet; leave it out.")
    if "_kfold" in values or "_num_cv_round" in values:
        raise ClientError("_kfold (cross validation in one job) is not built in Clary yet; leave it out.")


RULES = (check_classes, check_metrics, check_updater, check_constraints, check_not_built)


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)
