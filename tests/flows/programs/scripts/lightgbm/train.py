"""Which side of the diagonal: LightGBM. The same file answers the requests of an endpoint."""

import argparse
import os
from pathlib import Path

import lightgbm
import numpy as np


def model_fn(model_dir: str) -> lightgbm.Booster:
    return lightgbm.Booster(model_file=Path(model_dir, "model.txt"))


def tell(environment: lightgbm.callback.CallbackEnv) -> None:
    print(f"loss={environment.evaluation_result_list[0][2]:.4f};")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    table = np.loadtxt(Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv"), delimiter=",")
    data = lightgbm.Dataset(table[:, 1:], table[:, 0])
    model = lightgbm.train(
        {"objective": "binary", "verbose": -1, "min_data_in_leaf": 5},
        data,
        num_boost_round=parser.parse_args().epochs,
        valid_sets=[data],
        callbacks=[tell],
    )
    model.save_model(Path(os.environ["SM_MODEL_DIR"], "model.txt"))
