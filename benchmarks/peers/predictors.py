"""The predictor of a model server beside the library's own calls: predictors.py FOLDER ROUNDS

Runs in the image's environment, with the inside of Clary and this folder's parent on its path. FOLDER is what
abalone.py left. Prints contender -> figure -> [median, least, most] as JSON, after all answers were found equal.
"""

import io
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from measure.rounds import take_turns
from peers.scoring import score

from clary.algorithms.xgboost.dense import DensePredictor
from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.model import LoadedModel
from clary.algorithms.xgboost.predict import XGBoostPredictor, load
from clary.algorithms.xgboost.rows import build

Calls = Mapping[str, Callable[[int], Any]]  # figure -> the call for row number n
ROWS, CALLS, BATCHES = 1000, 300, 5
ONE, BODY, MANY = "CPU us, one row", "CPU us, bytes to bytes", "CPU us, 1,000 rows"


def contenders(folder: Path) -> dict[str, Calls]:
    booster = xgboost.Booster({"nthread": 1}, model_file=folder / "model.ubj")
    bodies = (folder / "rows.csv").read_bytes().splitlines()[:ROWS]
    table = np.array([body.split(b",") for body in bodies], np.float32)
    rows = table.tolist()
    exact = DensePredictor(LoadedModel(booster, 0, table.shape[1]))
    fast = build(LoadedModel(booster, 0, table.shape[1]), "reg:squarederror", exact)
    servers = {each: serving(folder / "model.ubj", each) for each in ("exact", "fast")}

    def classic(n: int) -> str:
        values = np.genfromtxt(io.BytesIO(bodies[n]), np.float32, delimiter=",").reshape(1, -1)
        return str(booster.predict(xgboost.DMatrix(values, nthread=1))[0])

    return {
        "inplace_predict": {
            ONE: lambda n: booster.inplace_predict(table[n : n + 1]).tolist(),
            BODY: lambda n: score(booster, bodies[n]).encode(),
            MANY: lambda n: booster.inplace_predict(table),
        },
        "DMatrix, predict": {
            ONE: lambda n: booster.predict(xgboost.DMatrix(table[n : n + 1], nthread=1)).tolist(),
            BODY: lambda n: classic(n).encode(),
            MANY: lambda n: booster.predict(xgboost.DMatrix(table, nthread=1)),
        },
        "clary, exact": {
            ONE: lambda n: exact.row(rows[n]),
            BODY: lambda n: servers["exact"].invoke(bodies[n], "text/csv", "").body,
            MANY: lambda n: exact.rows(table),
        },
        "clary, fast": {
            ONE: lambda n: fast.row(rows[n]),
            BODY: lambda n: servers["fast"].invoke(bodies[n], "text/csv", "").body,
        },
    }


def serving(model: Path, predictor: str) -> XGBoostPredictor:
    """What a model server has loaded, once its fast predictor has taken over."""
    folder = model.parent / predictor
    folder.mkdir()
    shutil.copy(model, folder / "xgboost-model")
    loaded = load(folder, {"CLARY_XGBOOST_PREDICTOR": predictor})
    for each in threading.enumerate():
        if each.name == "fast-rows":
            each.join()
    for _ in range(ROWS):
        loaded.invoke(b"1,2,3,4,5,6,7,8", "text/csv", "")
    return loaded


def check(found: Mapping[str, Calls], answers: list[float]) -> None:
    """Every answer, bit for bit."""
    for name, calls in found.items():
        for n, answer in enumerate(answers[:ROWS]):
            one, body = calls[ONE](n), calls[BODY](n)
            if one != [answer] or np.float32(float(body)) != np.float32(answer):
                raise SystemExit(f"{name} says {one} and {body!r} to row {n}, the model {answer}")
        if MANY in calls and calls[MANY](0).tolist() != answers[:ROWS]:
            raise SystemExit(f"{name} has other answers to all rows together")


def sample(calls: Calls) -> dict[str, float]:
    found = {}
    for figure, call in calls.items():
        times = BATCHES if figure == MANY else CALLS
        began = time.process_time()
        for n in range(times):
            call(n)
        found[figure] = (time.process_time() - began) / times * 1e6
    return found


def main(folder: Path, rounds: int) -> None:
    sys.stdout = sys.stderr  # for what predictors log
    found = contenders(folder)
    check(found, [float(line) for line in (folder / "answers.txt").read_text().splitlines()])
    figures = take_turns({name: lambda calls=calls: sample(calls) for name, calls in found.items()}, rounds)
    result = {name: {figure: astuple(spread) for figure, spread in each.items()} for name, each in figures.items()}
    print(json.dumps(result), file=sys.__stdout__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
