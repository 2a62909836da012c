"""Which side of the diagonal: XGBoost in script mode. The same file answers the requests of an endpoint."""

import argparse
import os
from pathlib import Path

import numpy as np
import xgboost


def model_fn(model_dir: str) -> xgboost.Booster:
    return xgboost.Booster(model_file=Path(model_dir, "model.ubj"))


class Tells(xgboost.callback.TrainingCallback):
    def after_iteration(self, model: xgboost.Booster, epoch: int, evals_log: dict) -> bool:
        print(f"loss={evals_log['train']['logloss'][-1]:.4f};")
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    table = np.loadtxt(Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv"), delimiter=",")
    data = xgboost.DMatrix(table[:, 1:], table[:, 0])
    model = xgboost.train(
        {"objective": "binary:logistic", "eval_metric": "logloss", "nthread": 1},  # more wait for each other, spinning
        data,
        num_boost_round=parser.parse_args().epochs,
        evals=[(data, "train")],
        callbacks=[Tells()],
        verbose_eval=False,
    )
    model.save_model(Path(os.environ["SM_MODEL_DIR"], "model.ubj"))
