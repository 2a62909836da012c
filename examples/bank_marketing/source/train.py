"""Will a customer subscribe? Logistic regression on the bank marketing data, as a training script.

Reads the CSV files of the channel `train`, writes the model, a report of the test rows and those rows with what was
predicted for them (`new.csv`). The same file answers the requests of an endpoint.
"""

import argparse
import os
import pickle
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, classification_report
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler


def table(folder: str) -> pd.DataFrame:
    """All rows, with missing values as 0 and texts as numbers."""
    rows = pd.concat(pd.read_csv(path, sep=";", na_values="unknown") for path in sorted(Path(folder).iterdir()))
    rows = rows.fillna(0)
    for name in rows.select_dtypes("object"):
        rows[name] = LabelEncoder().fit_transform(rows[name].astype(str))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-iter", type=int, default=100)
    parser.add_argument("--test-share", type=float, default=0.2)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--output-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR"))
    given = parser.parse_args()

    rows = table(given.train)
    train, test = train_test_split(rows, test_size=given.test_share, random_state=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=given.max_iter))
    model.fit(train.drop(columns="y").to_numpy(), train["y"])

    predicted = model.predict(test.drop(columns="y").to_numpy())
    report = classification_report(test["y"], predicted)
    print(report)
    print(f"accuracy={accuracy_score(test['y'], predicted):.4f};")
    Path(given.output_dir, "report.txt").write_text(report)
    test.assign(predicted=predicted).to_csv(Path(given.output_dir, "new.csv"), index=False)
    Path(given.model_dir, "model.pkl").write_bytes(pickle.dumps(model))


def model_fn(model_dir: str) -> object:
    """For the endpoint: the model of this folder. Requests and answers are of the usual forms (CSV, JSON, npy)."""
    return pickle.loads(Path(model_dir, "model.pkl").read_bytes())


if __name__ == "__main__":
    main()
