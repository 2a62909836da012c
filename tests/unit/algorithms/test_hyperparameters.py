"""The words in which hyperparameters are refused are part of the interface: users search for them."""

from __future__ import annotations

import pytest

from clary.algorithms.errors import ClientError
from clary.algorithms.hyperparameters import Interval
from clary.algorithms.xgboost.spec import SPEC
from clary.contract.layout import Layout

VALID = {"num_round": "5"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_round": None}, "Missing required hyperparameter: num_round"),
        ({"num_rounds": "5"}, "Extraneous hyperparameter found: num_rounds"),
        ({"num_round": "many"}, "Hyperparameter num_round: could not parse value (caused by ValueError)"),
        ({"num_round": "0"}, "Hyperparameter num_round: 0 is not in [1, +inf)"),
        ({"eta": "1.5"}, "Hyperparameter eta: 1.5 is not in [0, 1]"),
        ({"learning_rate": "1.5"}, "Hyperparameter eta: 1.5 is not in [0, 1]"),
        ({"subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0, 1]"),
        ({"eta": "nan"}, "Hyperparameter eta: could not parse value (caused by ValueError)"),
        ({"booster": "forest"}, "Hyperparameter booster: forest is not in ['gbtree', 'gblinear', 'dart']"),
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class' for multi-classification"),
        ({"num_class": "3"}, "Do not need to setup parameter 'num_class'"),
        ({"eval_metric": "auc"}, "Metric 'auc' can only be applied for classification and ranking problems."),
        ({"eval_metric": "accuracy"}, "Metric 'accuracy' can only be applied for classification problems."),
        ({"eval_metric": "rmse@2"}, "Metric 'rmse@2' is not supported. Parameter 'eval_metric' with customized"),
        ({"eval_metric": "error@x"}, "Threshold value 't' in 'error@t' expects float input."),
        ({"monotone_constraints": "(1,0)"}, "monotone_constraints can be used only when the tree_method parameter"),
        ({"monotone_constraints": "(2,0)", "tree_method": "hist"}, "(2, 0) is not in [-1, 0, 1]"),
        ({"interaction_constraints": "[[0,1]]"}, "interaction_constraints can be used only when the tree_method"),
        ({"interaction_constraints": "[[0,"}, "Hyperparameter interaction_constraints: could not parse value"),
        ({"updater": "shotgun"}, "Tree updater should be selected from these options"),
        ({"updater": "grow_colmaker,grow_histmaker"}, "Only one tree grow plugin can be selected."),
        ({"booster": "gblinear", "updater": "prune"}, "Linear updater should be one of these options"),
        ({"process_type": "update", "updater": "grow_colmaker"}, "process_type 'update' can only be used with"),
        ({"tree_method": "gpu_hist"}, "GPU training of the built-in XGBoost is not built in Clary yet"),
        ({"_kfold": "3"}, "_kfold (cross validation in one job) is not built in Clary yet"),
        ({"use_dask_gpu_training": "true"}, "use_dask_gpu_training is not built in Clary yet"),
    ],
)
def test_what_is_wrong_is_said_in_the_containers_words(given: dict[str, str | None], words: str) -> None:
    merged = {key: text for key, text in {**VALID, **given}.items() if text is not None}
    with pytest.raises(ClientError) as refusal:
        SPEC.hyperparameters.validate(merged)
    assert words in str(refusal.value)


def test_values_get_their_types_and_aliases_their_names() -> None:
    values = SPEC.hyperparameters.validate(
        {
            "num_round": "5",
            "reg_lambda": "2",
            "eval_metric": "rmse, mae",
            "monotone_constraints": "(1,0,-1)",
            "interaction_constraints": "[[0,1],[2]]",
            "tree_method": "hist",
            "_tuning_objective_metric": "validation:rmse",
            "_num_gpus": "auto",
        }
    )
    assert values == {
        "num_round": 5,
        "lambda": 2.0,
        "eval_metric": ["rmse", "mae"],
        "monotone_constraints": (1, 0, -1),
        "interaction_constraints": [[0, 1], [2]],
        "tree_method": "hist",
        "_tuning_objective_metric": "validation:rmse",
    }


def test_every_tunable_range_lies_in_the_allowed_one() -> None:
    for each in SPEC.hyperparameters.declared.values():
        if isinstance(each.tunable, Interval):
            assert isinstance(each.allowed, Interval)
            assert each.tunable.low in each.allowed, each.name
            assert each.tunable.high in each.allowed, each.name


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        ({}, "Missing required channel: train"),
        ({"train": {}, "test": {}}, "Extraneous channel found: test"),
        ({"train": {"ContentType": "image/png"}}, "image/png is not an accepted ContentType: csv, text/csv, libsvm"),
        ({"train": {"TrainingInputMode": "Pipe"}}, "Pipe mode is not supported by the built-in XGBoost"),
    ],
)
def test_channels_are_checked(channels: dict[str, dict[str, str]], words: str) -> None:
    with pytest.raises(ClientError) as refusal:
        SPEC.channel_inputs(channels, Layout())
    assert words in str(refusal.value)


def test_a_content_type_may_have_parameters() -> None:
    (train,) = SPEC.channel_inputs({"train": {"ContentType": "Text/CSV; label_size=1"}}, Layout()).values()
    assert (train.content_type, train.parameters) == ("text/csv", {"label_size": "1"})
