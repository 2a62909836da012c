"""Trains a model without SageMaker and writes it to a file; prints what it says of three points.

    python train.py scikit-learn model.joblib       (or: xgboost xgboost-model, pytorch model.pth)

Stands for whatever made the model that you have. It needs the library and numpy, and nothing of AWS.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ASKED = [[0.1, 0.2], [0.9, 0.7], [0.4, 0.45]]


def points() -> tuple[np.ndarray, np.ndarray]:
    """Points of the unit square, and whether they lie above its diagonal."""
    rows = np.random.default_rng(1).random((600, 2)).astype("float32")
    return rows, (rows.sum(axis=1) > 1).astype("float32")


def scikit_learn(path: str) -> list[float]:
    import joblib
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100).fit(*points())
    joblib.dump(model, path)
    return list(model.predict_proba(ASKED)[:, 1])


def xgboost(path: str) -> list[float]:
    import xgboost

    rows, labels = points()
    model = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(rows, labels), 20)
    Path(path).write_bytes(model.save_raw("ubj"))
    return list(model.predict(xgboost.DMatrix(np.array(ASKED))))


def pytorch(path: str) -> list[float]:
    import torch

    rows, labels = map(torch.from_numpy, points())
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1), torch.nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(model(rows)[:, 0], labels).backward()
        optimizer.step()
    torch.save(model.state_dict(), path)
    with torch.no_grad():
        return model(torch.tensor(ASKED))[:, 0].tolist()


if __name__ == "__main__":
    library, path = sys.argv[1:]
    train: Any = {"scikit-learn": scikit_learn, "xgboost": xgboost, "pytorch": pytorch}[library]
    print(json.dumps([round(float(score), 4) for score in train(path)]))
