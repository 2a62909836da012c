"""The data of the story, ready for SageMaker's XGBoost: the label first, every column a number, no header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

COLUMNS = [
    "Age", "Workclass", "fnlwgt", "Education", "Education-Num", "Marital Status", "Occupation", "Relationship",
    "Race", "Sex", "Capital Gain", "Capital Loss", "Hours per week", "Country", "Income",
]  # fmt: skip
RELATIONSHIPS = ["Not-in-family", "Unmarried", "Other-relative", "Own-child", "Husband", "Wife"]


def census(folder: Path) -> tuple[pd.DataFrame, str, list[str]]:
    """UCI Adult from `folder` (adult.data or adult.data.gz), categories as the census tutorial codes them.

    Returns the table with its label in the first column, a name for it, and the names of the two classes.
    """
    packed, plain = folder / "adult.data.gz", folder / "adult.data"
    source = packed if packed.exists() else plain
    if not source.exists():
        raise SystemExit(f"There is no adult.data and no adult.data.gz in {folder}.")
    table = pd.read_csv(source, names=COLUMNS, skipinitialspace=True).dropna()  # unpacks what ends in .gz
    label = (table["Income"].str.strip() == ">50K").astype(int)
    table = table.drop(columns=["fnlwgt", "Education", "Income"])
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            codes = RELATIONSHIPS if name == "Relationship" else sorted(table[name].unique())
            table[name] = table[name].map({category: code for code, category in enumerate(codes)})
    table.insert(0, "Income>50K", label)
    return table, "census income (UCI Adult)", ["at most 50K", "over 50K"]


def breast_cancer() -> tuple[pd.DataFrame, str, list[str]]:
    """The set that scikit-learn carries, so that the story needs no download. Same answer as `census`."""
    bunch = load_breast_cancer(as_frame=True)
    table = bunch.data.copy()
    table.insert(0, "benign", bunch.target)
    return table, "breast cancer (Wisconsin, from scikit-learn)", ["malignant", "benign"]


def split(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """60 % to train on, 20 % to validate on, 20 % to test on: the split of the census tutorial."""
    rest, test = train_test_split(table, test_size=0.2, random_state=1)
    train, validation = train_test_split(rest, test_size=0.25, random_state=1)
    return {"train": train, "validation": validation, "test": test}


def features(table: pd.DataFrame) -> np.ndarray:
    return table.iloc[:, 1:].to_numpy(dtype=float)


def labels(table: pd.DataFrame) -> np.ndarray:
    return table.iloc[:, 0].to_numpy(dtype=int)
