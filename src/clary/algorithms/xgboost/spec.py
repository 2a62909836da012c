"""XGBoost as AWS offers it: repositories, channels, hyperparameters, metrics. Standard library only."""

from __future__ import annotations

from clary.algorithms.declaration import AlgorithmSpec, ChannelDeclaration, Example, Metric, Repository, Variable
from clary.algorithms.hyperparameters import (
    Hyperparameters,
    Interval,
    categorical,
    comma_list,
    continuous,
    free_text,
    integer,
    integer_tuple,
    nested_list,
)
from clary.algorithms.xgboost import rules

MODEL_FILE = "xgboost-model"
PREDICTOR_VARIABLE = "CLARY_XGBOOST_PREDICTOR"

PRELOAD = (
    "clary.algorithms.xgboost.train",
    "clary.algorithms.xgboost.predict",
    "httptools",
    "uvloop",
)

CSV = ("csv", "text/csv")
LIBSVM = ("libsvm", "text/libsvm", "text/x-libsvm")
PARQUET = ("parquet", "application/x-parquet")
RECORDIO = ("recordio-protobuf", "application/x-recordio-protobuf")
ACCEPTS = ("application/json", "application/jsonlines", "application/x-recordio-protobuf", "text/csv")

_TYPES = (*CSV, *LIBSVM, *PARQUET, *RECORDIO)
_PIPE_REFUSAL = (
    "Pipe mode is not supported by the built-in XGBoost. Set the input mode to 'File' or 'FastFile' in your estimator "
    "or training input."
)
_VERSIONS = ("1.2-1", "1.2-2", "1.3-1", "1.5-1", "1.7-1", "3.0-5", "3.2-0")
_OLD_VERSIONS = ("0.90-1", "0.90-2", "1.0-1")
_TAGS = (
    *(f"{version}{end}" for version in _OLD_VERSIONS + _VERSIONS for end in ("", "-cpu-py3")),
    *("1.3-1-arm64", "1.5-1-arm64"),  # where instances are of Graviton's families
)

_UNIT = Interval(0, 1)
_SHARE = Interval(0, 1, low_open=True)
_FLAG = Interval(0, 1)
_NOT_NEGATIVE = Interval(0)

_HYPERPARAMETERS = Hyperparameters(
    integer("num_round", Interval(1), required=True, tunable=Interval(1, 4000)),
    integer("csv_weights", _FLAG),
    integer("early_stopping_rounds", Interval(1)),
    categorical("booster", "gbtree", "gblinear", "dart"),
    integer("verbosity", Interval(0, 3)),
    integer("nthread", Interval(1)),
    continuous("eta", _UNIT, tunable=Interval(0.1, 0.5), aliases=("learning_rate",)),
    continuous("gamma", _NOT_NEGATIVE, tunable=Interval(0, 5), aliases=("min_split_loss",)),
    integer("max_depth", _NOT_NEGATIVE, tunable=Interval(0, 10)),
    continuous("min_child_weight", _NOT_NEGATIVE, tunable=Interval(0, 120)),
    continuous("max_delta_step", _NOT_NEGATIVE, tunable=Interval(0, 10)),
    continuous("subsample", _SHARE, tunable=Interval(0.5, 1)),
    continuous("colsample_bytree", _SHARE, tunable=Interval(0.5, 1)),
    continuous("colsample_bylevel", _SHARE, tunable=Interval(0.1, 1)),
    continuous("colsample_bynode", _SHARE, tunable=Interval(0.1, 1)),
    continuous("lambda", _NOT_NEGATIVE, tunable=Interval(0, 1000), aliases=("reg_lambda",)),
    continuous("alpha", _NOT_NEGATIVE, tunable=Interval(0, 1000), aliases=("reg_alpha",)),
    categorical("tree_method", "auto", "exact", "approx", "hist", "gpu_hist"),
    continuous("sketch_eps", Interval(0, 1, low_open=True, high_open=True)),
    continuous("scale_pos_weight", Interval(0, low_open=True)),
    comma_list("updater", rules.UPDATERS),
    categorical("dsplit", "row", "col"),
    integer("refresh_leaf", _FLAG),
    categorical("process_type", "default", "update"),
    categorical("grow_policy", "depthwise", "lossguide"),
    integer("max_leaves", _NOT_NEGATIVE),
    integer("max_bin", _NOT_NEGATIVE),
    categorical("predictor", "auto", "cpu_predictor", "gpu_predictor"),
    integer_tuple("monotone_constraints", -1, 0, 1),
    nested_list("interaction_constraints", _NOT_NEGATIVE),
    categorical("sample_type", "uniform", "weighted"),
    categorical("normalize_type", "tree", "forest"),
    continuous("rate_drop", _UNIT),
    integer("one_drop", _FLAG),
    continuous("skip_drop", _UNIT),
    continuous("lambda_bias", _UNIT),
    continuous("tweedie_variance_power", Interval(1, 2, low_open=True, high_open=True)),
    categorical("objective", *rules.OBJECTIVES),
    integer("num_class", Interval(2)),
    continuous("base_score", _NOT_NEGATIVE),
    integer("_kfold", Interval(2)),
    integer("_num_cv_round", Interval(1)),
    free_text("_tuning_objective_metric"),
    comma_list("eval_metric", rules.known_metric),
    integer("seed", Interval(-(2**31), 2**31 - 1, low_open=True, high_open=True)),
    integer("num_parallel_tree", Interval(1)),
    categorical("save_model_on_termination", "true", "false"),
    categorical("aft_loss_distribution", "normal", "logistic", "extreme"),
    continuous("aft_loss_distribution_scale", _NOT_NEGATIVE),
    categorical("deterministic_histogram", "true", "false"),
    categorical("single_precision_histogram", "true", "false"),
    categorical("sampling_method", "uniform", "gradient_based"),
    integer("prob_buffer_row", Interval(1, low_open=True)),
    categorical("use_dask_gpu_training", "true", "false"),
    rules=rules.RULES,
)


def _metrics() -> tuple[Metric, ...]:
    number = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
    return tuple(
        Metric(f"{split}:{name}", rf".*\[[0-9]+\].*#011{split}-{name}:{number}.*", maximize, split == "validation")
        for names, maximize in ((rules.MAXIMIZED, True), (rules.MINIMIZED, False))
        for name in names
        for split in ("train", "validation")
    )


_VARIABLES = (
    Variable(
        PREDICTOR_VARIABLE,
        "`fast` (the default): requests of one CSV row are answered by XGBoost itself at first, and by a faster "
        "predictor once that is built, in the background, and found to have XGBoost's own bits at every split of the "
        "model and for the first 100 requests; a line in the endpoint's log says so, or why it is not used. `exact`: "
        "always by XGBoost itself. The answers are the same to the last bit.",
    ),
    Variable("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "The form of answers to requests that name none, as in AWS."),
    Variable("SAGEMAKER_INFERENCE_OUTPUT", "What answers say of each row, keys separated by commas, as in AWS."),
    Variable("SAGEMAKER_INFERENCE_ENSEMBLE", "`false`: of several models in the archive the first alone answers."),
)
_ROWS = b"1,0.5,2\n0,1.5,1\n1,0.25,3\n0,2.5,0.5\n" * 8

SPEC = AlgorithmSpec(
    name="xgboost",
    environment="xgboost",
    repositories=(Repository("sagemaker-xgboost", _TAGS), Repository("xgboost", ("1", "latest"))),
    channels=(
        ChannelDeclaration("train", True, _TYPES, _PIPE_REFUSAL),
        ChannelDeclaration("validation", False, _TYPES, _PIPE_REFUSAL),
    ),
    default_content_type="text/libsvm",
    hyperparameters=_HYPERPARAMETERS,
    metrics=_metrics(),
    model_file=MODEL_FILE,
    accepts=ACCEPTS,
    variables=_VARIABLES,
    example=Example(
        {"num_round": "3", "objective": "binary:logistic", "eval_metric": "logloss,accuracy"},
        {"train": ("text/csv", _ROWS), "validation": ("text/csv", _ROWS)},
        (("text/csv", b"0.5,2"), ("text/csv", b"0.5,2\n1.5,1\n"), ("text/libsvm", b"0:0.5 1:2")),
    ),
)
