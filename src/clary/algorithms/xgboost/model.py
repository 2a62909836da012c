"""Saved models: which files, which forms, and how many of their rounds count."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clary.algorithms import log
from clary.algorithms.serving import InvocationError
from clary.algorithms.xgboost.library import xgboost


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """`rounds` is where prediction stops: the best iteration's end where the model knows one, else 0 for all."""

    booster: xgboost.Booster
    rounds: int
    columns: int


def load_models(folder: Path, ensemble: bool) -> list[LoadedModel]:
    """Every file of the folder is a model (the first one only, without `ensemble`). Raises InvocationError 500."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise InvocationError(500, f"Unable to load model: there is no model file in {folder}")
    return [_load(path) for path in (files if ensemble else files[:1])]


def objective_of(model: LoadedModel) -> tuple[str, int]:
    """(objective's name, number of classes or 0)."""
    learner = json.loads(model.booster.save_config())["learner"]
    return learner["objective"]["name"], int(learner["learner_model_param"].get("num_class", 0))


def _load(path: Path) -> LoadedModel:
    log.info(f"Loading the model from {path}")
    content = path.read_bytes()
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(content))
    except xgboost.core.XGBoostError as problem:
        # models of the images up to 1.2 are pickles; they come from the job's own archive into its own sandbox
        booster = _unpickle(path, content, problem)
    booster.set_param("nthread", 1)
    return LoadedModel(booster, _rounds(booster), booster.num_features())


def _unpickle(path: Path, content: bytes, first: Exception) -> xgboost.Booster:
    try:
        booster = pickle.loads(content)
        booster.num_features()
    except Exception as problem:
        raise InvocationError(
            500,
            f"Unable to load model: Model {path} cannot be loaded:"
            f"\nPickle load error={problem}\nXGB load model error={first}",
        ) from problem
    return booster


def _rounds(booster: xgboost.Booster) -> int:
    best = booster.attr("best_iteration")
    if best is None or int(best) + 1 >= booster.num_boosted_rounds():
        return 0
    return int(best) + 1


def widths(models: Sequence[LoadedModel]) -> int:
    """The number of features that requests are checked against."""
    return max(model.columns for model in models)
