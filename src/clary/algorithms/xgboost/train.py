"""Trains XGBoost as AWS's container does: same parameters, same log, and the model the library itself would make."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from typing import Any

from clary.algorithms import log
from clary.algorithms.declaration import TrainingJob
from clary.algorithms.errors import AlgorithmError, ClientError
from clary.algorithms.xgboost import rules
from clary.algorithms.xgboost.data import read_channel
from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.metrics import evaluation, split_metrics
from clary.algorithms.xgboost.spec import MODEL_FILE

# what the library says about bad data, as far as we know its wording
_DATA_PROBLEMS = (
    "label must be in [0,1] for logistic regression",
    "label must be in [0, num_class)",
    "feature_names mismatch",
    "preds.size() == info.labels",
    "the dataset only contains pos or neg samples",
    "base_score must be in (0,1)",
    "label must be nonnegative",
    "label must be positive",
    "reg_lambda should be greater equal to 0",
    "Label contains NaN",
    "Weights must be positive",
    "must be non-negative",
    "sorted",
)
# settings of older versions of the library, and what became of them
_WITHOUT_EFFECT = (
    "sketch_eps", "predictor", "deterministic_histogram", "single_precision_histogram", "dsplit", "prob_buffer_row",
)  # fmt: skip
_OURS = (
    "num_round", "csv_weights", "early_stopping_rounds", "eval_metric", "save_model_on_termination",
    "use_dask_gpu_training", "_tuning_objective_metric", *_WITHOUT_EFFECT,
)  # fmt: skip


def train(job: TrainingJob) -> None:
    """Reads the channels, trains, and writes /opt/ml/model/xgboost-model. Raises ClientError or AlgorithmError."""
    values = job.hyperparameters
    if len(job.hosts) > 1:
        raise ClientError("Training on several instances is not built in Clary's XGBoost yet; use InstanceCount 1.")
    log.info("Determined 0 GPU(s) available on the instance.")
    for name in _WITHOUT_EFFECT:
        if name in values:
            log.warning(f"Hyperparameter {name} has no effect in XGBoost {xgboost.__version__}")
    stopped = _stop_on_sigterm() if values.get("save_model_on_termination") == "true" else None
    matrices = _read(job)
    _check_labels(rules.objective(values), matrices)
    log.info("Single node training.")
    log.info(f"Train matrix has {matrices['train'].num_row()} rows and {matrices['train'].num_col()} columns")
    if "validation" in matrices:
        log.info(f"Validation matrix has {matrices['validation'].num_row()} rows")
    booster = _boost(values, matrices, stopped)
    (job.layout.model / MODEL_FILE).write_bytes(booster.save_raw("ubj"))


def _read(job: TrainingJob) -> dict[str, xgboost.DMatrix]:
    weights = job.hyperparameters.get("csv_weights") == 1
    try:
        return {name: read_channel(name, job.channels[name], weights) for name in sorted(job.channels)}
    except xgboost.core.XGBoostError as problem:
        raise _failure(problem) from problem


def _check_labels(objective: str, matrices: Mapping[str, xgboost.DMatrix]) -> None:
    """What the library would say less clearly after it has begun."""
    if objective not in ("binary:logistic", "binary:logitraw", "reg:logistic"):
        return
    for name, matrix in matrices.items():
        labels = matrix.get_label()
        if labels.size and (labels.min() < 0 or labels.max() > 1):
            raise ClientError(f"label must be in [0,1] for logistic regression ({name} channel)")


def _boost(
    values: Mapping[str, Any], matrices: Mapping[str, xgboost.DMatrix], stopped: threading.Event | None
) -> xgboost.Booster:
    names = metric_names(values)
    native, custom = split_metrics(names)
    parameters = library_parameters(values)
    if native:
        parameters["eval_metric"] = native
    callbacks = [
        xgboost.callback.EvaluationMonitor(logger=lambda line: log.plain(line.rstrip("\n"))),
        *_stopping(values, matrices, names),
    ]
    if stopped is not None:
        callbacks.append(_StopWhen(stopped))
    try:
        return xgboost.train(
            parameters,
            matrices["train"],
            num_boost_round=values["num_round"],
            evals=[(matrix, name) for name, matrix in matrices.items()],
            custom_metric=evaluation(custom, rules.objective(values)) if custom else None,
            callbacks=callbacks,
            verbose_eval=False,
        )
    except (xgboost.core.XGBoostError, ValueError) as problem:
        raise _failure(problem) from problem


def library_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """What xgboost.train gets, in its own words."""
    parameters = {name: value for name, value in values.items() if name not in _OURS}
    if parameters.get("objective") == "reg:linear":
        parameters["objective"] = "reg:squarederror"
    if "updater" in parameters:
        parameters["updater"] = ",".join(parameters["updater"])
    for name in ("monotone_constraints", "interaction_constraints"):
        if name in parameters:
            parameters[name] = str(parameters[name])
    return parameters


def metric_names(values: Mapping[str, Any]) -> list[str]:
    """All metrics to compute. The last one decides early stopping: a tuning job's objective, else the user's last."""
    names = list(dict.fromkeys(values.get("eval_metric", ())))
    objective = str(values.get("_tuning_objective_metric", "")).rpartition(":")[2]
    if objective:
        log.info(f"Setting up HPO optimized metric to be : {objective}")
        names = [name for name in names if name != objective] + [objective]
    return names


def _stopping(
    values: Mapping[str, Any], matrices: Mapping[str, xgboost.DMatrix], names: list[str]
) -> list[xgboost.callback.TrainingCallback]:
    rounds = values.get("early_stopping_rounds")
    if rounds is None:
        return []
    if "validation" not in matrices:
        log.warning("early_stopping_rounds needs a validation channel; training goes on to the last round.")
        return []
    metric = names[-1] if names else None
    maximize = metric.partition("@")[0] in rules.MAXIMIZED if metric else None
    stopping = xgboost.callback.EarlyStopping
    return [stopping(rounds, metric_name=metric, data_name="validation", maximize=maximize, save_best=True)]


class _StopWhen(xgboost.callback.TrainingCallback):  # type: ignore[misc]
    """Ends the training after the round in which the event was set."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: dict[str, Any]) -> bool:
        return self._event.is_set()


def _stop_on_sigterm() -> threading.Event:
    event = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: event.set())
    return event


def _failure(problem: Exception) -> ClientError | AlgorithmError:
    text = str(problem).partition("Stack trace:")[0].strip()
    if any(known in text for known in _DATA_PROBLEMS):
        return ClientError(text)
    return AlgorithmError(f"XGB train call failed with exception:\n {text}")
