"""The fast predictor of single rows has XGBoost's own bits, or is not used."""

from __future__ import annotations

import json

import pytest

from clary.testing.algorithm_conformance import Workbench

# what the programs below share; they run in the image environment
PROGRAM = """
import dataclasses, json, sys, threading, time
from pathlib import Path
import numpy as np
from clary.algorithms.xgboost import rows as single
from clary.algorithms.xgboost.agreement import check_leaves
from clary.algorithms.xgboost.dense import DensePredictor
from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.model import LoadedModel, objective_of
from clary.algorithms.xgboost.trees import NotBuilt, read_rounds

random = np.random.default_rng(1)
features = random.normal(size=(1500, 5)).astype(np.float32)
features[:, 3] = random.integers(-1, 2, 1500)  # thresholds at nothing
features[random.random(features.shape) < 0.1] = np.nan
target = np.nan_to_num(features[:, 0]) * 2 + np.nan_to_num(features[:, 3] * features[:, 1])

def booster(objective, rounds=12, **more):
    labels = {"multi": np.clip(target + 1, 0, 2).astype(int), "binary": target > 0, "reg:logistic": target > 0,
              "reg:squaredlogerror": np.abs(target), "reg:gamma": np.abs(target) + 0.1, "reg:tweedie": np.abs(target),
              "count": np.abs(target), "rank": target > 0, "survival": np.abs(target) + 0.1}
    label = next((value for name, value in labels.items() if objective.startswith(name)), target)
    data = xgboost.DMatrix(features, label)
    if objective == "survival:aft":
        data.set_float_info("label_lower_bound", label), data.set_float_info("label_upper_bound", label)
    return xgboost.train({"objective": objective, "max_depth": 4, "nthread": 1, **more}, data, rounds)

def loaded(booster, rounds=0):
    booster = xgboost.Booster({"nthread": 1}, model_file=booster.save_raw())
    return LoadedModel(booster, rounds, booster.num_features())

def built(model):
    exact = DensePredictor(model)
    return single.build(model, objective_of(model)[0], exact), exact

corners = [0.0, -0.0, 1e-45, -1e-45, 1e-36, -1e-36, 3e38, -3e38, float("inf"), -float("inf"), float("nan"), 0.1]
requests = features[:200].tolist() + [[each] * 5 for each in corners] + random.choice(corners, (100, 5)).tolist()

def agree(fast, exact):
    return all(fast.row(each) == exact.row(each) for each in requests)
"""

OBJECTIVES = (
    *("reg:squarederror", "reg:logistic", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror"),
    *("reg:gamma", "reg:tweedie", "count:poisson", "binary:logistic", "binary:logitraw", "binary:hinge"),
    *("rank:pairwise", "survival:cox", "survival:aft"),
)
SHAPES = {
    "softprob": ("multi:softprob", {"num_class": 3}),
    "softmax": ("multi:softmax", {"num_class": 3}),
    "forests of classes": ("multi:softprob", {"num_class": 3, "num_parallel_tree": 3, "subsample": 0.5, "rounds": 4}),
    "forest": ("reg:squarederror", {"num_parallel_tree": 4, "subsample": 0.5, "rounds": 4}),
    "base score": ("binary:logistic", {"base_score": 0.13}),
    "single leaves": ("reg:squarederror", {"gamma": 1e9}),
    "by leaf": ("reg:squarederror", {"grow_policy": "lossguide", "max_leaves": 50, "max_depth": 0}),
    "exact splits": ("reg:squarederror", {"tree_method": "exact"}),
}


def test_every_objective_and_shape_has_the_librarys_own_bits(bench: Workbench) -> None:
    """Values next to nothing and beyond all thresholds included: where another library would see a zero."""
    cases = {each: (each, {}) for each in OBJECTIVES} | SHAPES
    code = f"{PROGRAM}\nfor name, (objective, more) in json.loads(sys.argv[1]).items():"
    code += "\n    print(name, agree(*built(loaded(booster(objective, **more)))), sep='=')"
    said = dict(line.split("=") for line in bench.run(code, json.dumps(cases)).splitlines())
    assert said == dict.fromkeys(cases, "True")


def test_prediction_ends_with_the_best_iteration(bench: Workbench) -> None:
    code = """
model = booster("reg:squarederror")
fast, exact = built(loaded(model, 5))
print(agree(fast, exact), fast.row(requests[0]) == DensePredictor(loaded(model)).row(requests[0]))
"""
    assert bench.run(PROGRAM + code) == "True False\n"


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("booster('reg:squarederror', booster='dart', rate_drop=0.5)", "its booster is dart"),
        ("booster('reg:squarederror', booster='gblinear', max_depth=None)", "its booster has no trees"),
        ("booster('reg:quantileerror', quantile_alpha=[.1, .9], multi_strategy='multi_output_tree')",
         "its leaves are vectors"),
        ("xgboost.train({}, xgboost.DMatrix(np.nan_to_num(abs(features.round())), target, feature_types=['c'] * 5,"
         " enable_categorical=True), 2)", "it has categorical splits"),
    ],
)  # fmt: skip
def test_what_only_the_library_predicts_is_named(bench: Workbench, model: str, why: str) -> None:
    code = f"""
try:
    built(loaded({model}))
except NotBuilt as problem:
    print(problem)
"""
    assert bench.run(PROGRAM + code).endswith(f"{why}\n")


def test_a_threshold_that_is_one_bit_off_is_found(bench: Workbench) -> None:
    code = """
model = booster("reg:squarederror")
rounds = list(read_rounds(model, 12))[-1]
print(len(check_leaves(model, rounds)) > 10)
for direction in (-np.inf, np.inf):
    tree = rounds.trees[-1]
    values = tree.value.copy()
    split = tree.splits()[-1]
    values[split] = np.nextafter(values[split], np.float32(direction))
    wrong = dataclasses.replace(rounds, trees=[*rounds.trees[:-1], dataclasses.replace(tree, value=values)])
    try:
        check_leaves(model, wrong)
    except NotBuilt as problem:
        print(problem)
"""
    assert bench.run(PROGRAM + code).splitlines() == ["True", *["a row would end in another leaf"] * 2]


def test_a_wrong_answer_to_a_request_ends_the_fast_predictors_use(bench: Workbench) -> None:
    """The one built for a model put in front of another one: what checks at load cannot have let through."""
    code = """
fast, _ = built(loaded(booster("reg:squarederror", 3)))
exact = DensePredictor(loaded(booster("reg:squarederror", 4)))
rows = single.SingleRows(exact, 5)
rows.row = rows.compared(fast)
print(rows.row(requests[0]) == exact.row(requests[0]), rows.row == exact.row)
"""
    said = bench.run(PROGRAM + code).splitlines()
    assert said[-1] == "True True"
    assert "XGBoost itself: the fast predictor had another answer to a request" in said[-2]


SERVED = """
from clary.algorithms.xgboost.fast import FastRow
from clary.algorithms.xgboost.predict import load
folder = Path(sys.argv[1]); booster("binary:logistic").save_model(folder / "xgboost-model.ubj")
body = ",".join(map(str, [0.5, 1, 0, 0, 2])).encode()
predictor = load(folder, {"CLARY_XGBOOST_PREDICTOR": sys.argv[2]} if sys.argv[2] else {})
builders = [each for each in threading.enumerate() if each.name == "fast-rows"]
answers = {predictor.invoke(body, "text/csv", "").body}
for each in builders:
    each.join()
answers |= {predictor.invoke(body, "text/csv", "").body for _ in range(102)}
print(len(builders), len(answers), isinstance(getattr(predictor._single.row, "__self__", None), FastRow))
"""


@pytest.mark.parametrize(("wanted", "ends"), [("", "1 1 True"), ("fast", "1 1 True"), ("exact", "0 1 False")])
def test_it_takes_over_when_it_is_built_and_has_agreed_on_requests(bench: Workbench, wanted: str, ends: str) -> None:
    said = bench.run(PROGRAM + SERVED, bench.layout({}, {}).model, wanted)
    assert said.splitlines()[-1] == ends
    assert ("Single rows are predicted by the fast predictor" in said) == (wanted != "exact")


def test_a_word_that_is_none_of_its_is_refused(bench: Workbench) -> None:
    code = "\nfrom clary.algorithms.serving import InvocationError\ntry:\n    {}\nexcept InvocationError as e: print(e)"
    served = SERVED.replace("\n", "\n    ")
    said = bench.run(PROGRAM + code.format(served), bench.layout({}, {}).model, "Exact")
    assert said.splitlines()[-1] == "CLARY_XGBOOST_PREDICTOR is 'Exact'; it can be exact or fast"
