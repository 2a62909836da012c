"""How the Python peers predict: Booster.inplace_predict on the row of a CSV body."""

import os

import numpy as np
import xgboost


def load() -> xgboost.Booster:
    """The model named by the environment variable MODEL."""
    booster = xgboost.Booster(model_file=os.environ["MODEL"])
    booster.set_param({"nthread": 1})
    return booster


def score(booster: xgboost.Booster, body: bytes) -> str:
    row = np.array([body.split(b",")], dtype=np.float32)
    return str(booster.inplace_predict(row)[0])
