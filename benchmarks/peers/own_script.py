"""A training script as people write it for SageMaker's framework images; by hand it is given the same variables."""

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

parser = argparse.ArgumentParser()
parser.add_argument("--max-iter", type=int, default=100)
parser.add_argument("--train", type=Path, default=os.environ["SM_CHANNEL_TRAIN"])
parser.add_argument("--model-dir", type=Path, default=os.environ["SM_MODEL_DIR"])
given = parser.parse_args()

table = np.loadtxt(given.train / "census.csv", delimiter=",")
model = LogisticRegression(max_iter=given.max_iter).fit(table[:, 1:] / 100, table[:, 0])
print(f"accuracy={model.score(table[:, 1:] / 100, table[:, 0]):.4f};")
joblib.dump(model, given.model_dir / "model.joblib")
