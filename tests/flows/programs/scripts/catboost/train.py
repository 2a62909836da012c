"""Which side of the diagonal: CatBoost. The same file answers the requests of an endpoint."""

import argparse
import os
from pathlib import Path

import catboost
import numpy as np


def model_fn(model_dir: str) -> catboost.CatBoostClassifier:
    return catboost.CatBoostClassifier().load_model(Path(model_dir, "model.cbm"))


def predict_fn(rows: np.ndarray, model: catboost.CatBoostClassifier) -> np.ndarray:
    return model.predict_proba(rows)[:, 1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    table = np.loadtxt(Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv"), delimiter=",")
    model = catboost.CatBoostClassifier(
        iterations=parser.parse_args().epochs, depth=4, random_seed=1, verbose=False, allow_writing_files=False
    )
    model.fit(table[:, 1:], table[:, 0])
    for loss in model.evals_result_["learn"]["Logloss"]:
        print(f"loss={loss:.4f};")
    model.save_model(Path(os.environ["SM_MODEL_DIR"], "model.cbm"))
