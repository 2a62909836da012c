"""XGBoost jobs, each a real process in the image's environment, held against the plain library in the same one."""

from __future__ import annotations

import gzip
import random
import re
import signal

import pytest

from clary.algorithms.xgboost.spec import SPEC
from clary.testing.algorithm_conformance import Outcome, Workbench, outcome
from image_environment import shared_data

# plain xgboost on the same files, with nothing of ours: prints 1 where both models say the same bits
PLAIN = """
import sys, json, numpy as np, xgboost
from scipy.sparse import csr_matrix
base, parameters, rounds = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
def read(channel):
    rows = [line.split() for line in open(f"{base}/input/data/{channel}/data") if line.strip()]
    if "," in rows[0][0]:
        table = np.array([[float(c) for c in row[0].split(",")] for row in rows], np.float32)
        return xgboost.DMatrix(table[:, 1:], table[:, 0])
    pairs = [[tuple(p.split(":")) for p in row[1:]] for row in rows]
    data = [float(v) for row in pairs for _, v in row]
    at = [int(i) for row in pairs for i, _ in row]
    ends = np.cumsum([0] + [len(row) for row in pairs])
    matrix = csr_matrix((np.array(data, np.float32), at, ends))
    return xgboost.DMatrix(matrix, [float(row[0]) for row in rows])
train, held = read("train"), read("validation")
plain = xgboost.train(parameters, train, rounds, evals=[(train, "train"), (held, "validation")], verbose_eval=False)
ours = xgboost.Booster()
ours.load_model(f"{base}/model/xgboost-model")
print(int(np.array_equal(plain.predict(held), ours.predict(held)) and ours.num_boosted_rounds() == rounds))
"""


def unpacked(folder: str, file: str) -> bytes:
    return gzip.decompress((shared_data(folder) / file).read_bytes())


def csv(content: bytes, validation: bytes = b"", **files: bytes) -> dict[str, tuple[str, dict[str, bytes]]]:
    channels = {"train": ("text/csv", {"data": content, **files})}
    return channels | ({"validation": ("text/csv", {"data": validation})} if validation else {})


def table(rows: int, columns: int, seed: int = 1, classes: int = 2) -> bytes:
    """Rows whose label depends on the first columns."""
    source = random.Random(seed)
    lines = []
    for _ in range(rows):
        values = [round(source.gauss(0, 1), 4) for _ in range(columns)]
        label = int(max(0, min(classes - 1, (values[0] + values[1] + source.gauss(0, 0.3) + 1) * classes / 2)))
        lines.append(",".join(map(str, [label, *values])))
    return "\n".join(lines).encode()


def rounds_of(log: str) -> list[str]:
    return [line for line in log.splitlines() if re.match(r"\[[0-9]+\]\t", line)]


def test_abalone_in_libsvm_equals_the_plain_library(bench: Workbench) -> None:
    data = unpacked("abalone", "abalone.train_0.libsvm.gz") + unpacked("abalone", "abalone.train_1.libsvm.gz")
    held = unpacked("abalone", "abalone.validation.libsvm.gz")
    given = {"max_depth": "5", "eta": "0.2", "gamma": "4", "min_child_weight": "6", "subsample": "0.7"}
    ended = bench.train(
        {**given, "objective": "reg:linear", "num_round": "50"},
        {"train": ("", {"data": data}), "validation": ("", {"data": held})},
    )
    assert ended.status == 0, ended.log
    assert "Train matrix has 2922 rows and 9 columns" in ended.log
    assert "Validation matrix has 626 rows" in ended.log
    assert "Single node training." in ended.log
    lines = rounds_of(ended.log)
    assert len(lines) == 50
    match = re.fullmatch(r"\[49\]\ttrain-rmse:([0-9.]+)\tvalidation-rmse:([0-9.]+)", lines[-1])
    assert match
    assert float(match[2]) < 2.4
    parameters = '{"max_depth":5,"eta":0.2,"gamma":4,"min_child_weight":6,"subsample":0.7}'
    assert bench.run(PLAIN, ended.layout.base, parameters, 50) == "1\n"


@pytest.fixture(scope="module")
def binary(bench: Workbench) -> Outcome:
    given = {"num_round": "8", "objective": "binary:logistic", "seed": "7", "colsample_bytree": "0.6"}
    given["eval_metric"] = "logloss,auc,accuracy,f1,balanced_accuracy,precision,recall_macro"
    return bench.train(given, csv(table(400, 6), table(150, 6, 2)))


def test_csv_equals_the_plain_library(bench: Workbench, binary: Outcome) -> None:
    assert "Determined delimiter of CSV input is ','" in binary.log
    parameters = '{"objective":"binary:logistic","seed":7,"colsample_bytree":0.6}'
    assert bench.run(PLAIN, binary.layout.base, parameters, 8) == "1\n"


def test_registered_regexes_find_every_metric_of_a_line(binary: Outcome) -> None:
    last = rounds_of(binary.log)[-1].replace("\t", "#011")
    found = {m.name for m in SPEC.metrics if re.search(m.regex, last)}
    names = ("logloss", "auc", "accuracy", "f1", "balanced_accuracy", "precision", "recall_macro")
    assert found == {f"{split}:{name}" for split in ("train", "validation") for name in names}


def test_custom_metrics_are_what_their_definitions_say(bench: Workbench, binary: Outcome) -> None:
    code = """
import sys, numpy as np, xgboost
from clary.algorithms.xgboost.metrics import evaluation, split_metrics
table = np.loadtxt(sys.argv[1] + "/input/data/validation/data", np.float32, delimiter=",")
model = xgboost.Booster(); model.load_model(sys.argv[1] + "/model/xgboost-model")
data = xgboost.DMatrix(table[:, 1:], table[:, 0]); truth = table[:, 0].astype(int)
said = (model.predict(data) > 0.5).astype(int)
hit = [np.sum((truth == c) & (said == c)) for c in (0, 1)]
precision = [hit[c] / np.sum(said == c) for c in (0, 1)]; recall = [hit[c] / np.sum(truth == c) for c in (0, 1)]
f1 = [2 * precision[c] * recall[c] / (precision[c] + recall[c]) for c in (0, 1)]
want = {"accuracy": np.mean(truth == said), "precision": precision[1], "recall_macro": np.mean(recall),
        "balanced_accuracy": np.mean(recall), "f1": np.mean(f1), "f1_binary": f1[1],
        "precision_micro": np.mean(truth == said)}
have = dict(evaluation(list(want), "binary:logistic")(model.predict(data), data))
assert all(abs(have[k] - want[k]) < 1e-12 for k in want), (have, want)
print(have["accuracy"], have["f1"])
"""
    accuracy, f1 = map(float, bench.run(code, binary.layout.base).split())
    last = rounds_of(binary.log)[-1]
    assert f"validation-accuracy:{accuracy:.5f}" in last
    assert f"validation-f1:{f1:.5f}" in last
    assert accuracy > 0.8


def test_early_stopping_keeps_the_best_round(bench: Workbench) -> None:
    given = {"num_round": "200", "eta": "0.9", "max_depth": "8", "objective": "binary:logistic"}
    given |= {"early_stopping_rounds": "5", "eval_metric": "error,logloss"}
    ended = bench.train(given, csv(table(200, 4), table(200, 4, 2)))
    losses = [float(line.rpartition("validation-logloss:")[2]) for line in rounds_of(ended.log)]
    best = losses.index(min(losses))
    assert len(losses) == best + 6 < 200  # the last metric decides, not `error`
    code = "import sys, xgboost; b = xgboost.Booster(); b.load_model(sys.argv[1]); print(b.num_boosted_rounds())"
    assert bench.run(code, ended.layout.model / "xgboost-model") == f"{best + 1}\n"


def test_early_stopping_without_a_named_metric_uses_the_objectives_own(bench: Workbench) -> None:
    given = {"num_round": "200", "eta": "0.9", "objective": "binary:logistic", "early_stopping_rounds": "3"}
    ended = bench.train(given, csv(table(200, 4), table(200, 4, 2)))
    assert ended.status == 0
    assert 3 < len(rounds_of(ended.log)) < 200


def test_a_tuning_objective_is_computed_and_decides(bench: Workbench) -> None:
    given = {"num_round": "2", "objective": "multi:softprob", "num_class": "3", "eval_metric": "mlogloss"}
    given["_tuning_objective_metric"] = "validation:merror"
    ended = bench.train(given, csv(table(200, 4, classes=3), table(90, 4, 2, classes=3)))
    assert "Setting up HPO optimized metric to be : merror" in ended.log
    assert re.search(r"\[1\].*validation-mlogloss:\S+\tvalidation-merror:", ended.log)


def test_weights_blank_cells_and_other_delimiters(bench: Workbench) -> None:
    rows = b"1;2;0.5;\n0;1;;3\r\n1;1;0.25;1\n\n0;2;2.5;2\n" * 10
    ended = bench.train({"num_round": "2", "csv_weights": "1", "max_depth": "2"}, csv(rows))
    assert ended.status == 0, ended.log
    assert "Determined delimiter of CSV input is ';'" in ended.log
    assert "Train matrix has 40 rows and 2 columns" in ended.log
    code = """
import sys; from pathlib import Path
from clary.algorithms.formats.csv_text import read_csv
print(read_csv([Path(sys.argv[1])], ";")[:3].tolist())
"""
    seen = bench.run(code, ended.layout.channel("train") / "data")
    assert seen == "[[1.0, 2.0, 0.5, nan], [0.0, 1.0, nan, 3.0], [1.0, 1.0, 0.25, 1.0]]\n"


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (
            csv(b"age,x\n1,2\n"),
            "file data, line 1, column 1: 'age' is not a number (CSV data must have no header line)",
        ),
        (csv(b"1,2\n1,2,3\n"), "file data, line 2 has 3 columns, the lines before it have 2"),
        (csv(b"1,2\n", **{"sub/more": b"1,2,3\n"}), "file more has 3 columns, file data has 2"),
        (csv(b"1,2\n3,x4\n"), "file data, line 2, column 2: 'x4' is not a number"),
        (csv(b"1\n2\n"), "there must be a label and at least one feature"),
        (csv(b"1,2\n", **{".DS_Store": b"x"}), "Hidden file found in the data path! Remove that before training."),
        (csv(b""), "No data in training channel path"),
        ({**csv(b"1,2\n"), "validation": ("text/csv", {})}, "No data in validation channel path"),
        ({"train": ("text/csv;label_size=0", {"data": b"1,2\n"})}, "Optional parameter label_size must be equal to 1"),
        ({"train": ("", {"data": b"1 0:2\nyes 0:3\n"})}, "Line 2 'yes 0:3...' of file 'data' is not 'LIBSVM' format."),
        (
            {"train": ("application/x-parquet", {"data": b"PAR1"})},
            "application/x-parquet is not built in Clary's XGBoost",
        ),
    ],
)
def test_data_that_cannot_be_read_is_named(
    bench: Workbench, channels: dict[str, tuple[str, dict[str, bytes]]], words: str
) -> None:
    ended = bench.train({"num_round": "1"}, channels)
    assert ended.status == 2, ended.log
    assert ended.failure.startswith("ClientError: ")
    assert words in ended.failure
    assert not list(ended.layout.model.iterdir())


def test_labels_that_do_not_fit_the_objective_are_the_clients_error(bench: Workbench) -> None:
    ended = bench.train({"num_round": "1", "objective": "binary:logistic"}, csv(b"1,2\n5,3\n"))
    assert (ended.status, "label must be in [0,1]" in ended.failure) == (2, True), ended.failure


def test_several_instances_are_refused(bench: Workbench) -> None:
    ended = bench.train({"num_round": "1"}, csv(b"1,2\n"), hosts=2)
    assert ended.failure.startswith("ClientError: Training on several instances is not built")


def test_script_mode_is_refused_by_name(bench: Workbench) -> None:
    ended = bench.train({"num_round": "1", "sagemaker_program": '"train.py"'}, csv(b"1,2\n"))
    assert ended.failure.startswith("ClientError: Script mode (sagemaker_program) is not built")


def test_ranking_by_query_and_weighted_rows_in_libsvm(bench: Workbench) -> None:
    ranked = b"".join(b"%d qid:%d 0:%d 1:%d\n" % (i % 3, i // 5, i % 3, i % 7) for i in range(50))
    ended = bench.train({"num_round": "2", "objective": "rank:ndcg"}, {"train": ("text/libsvm", {"data": ranked})})
    assert re.search(r"\[1\]\ttrain-ndcg", ended.log), ended.log
    weighted = b"1:2.5 0:1\n0:0.5 3:2\n" * 10
    ended = bench.train({"num_round": "1"}, {"train": ("text/x-libsvm", {"data": weighted})})
    assert "Train matrix has 20 rows and 4 columns" in ended.log


def test_recordio_protobuf_written_record_by_record_is_read(bench: Workbench) -> None:
    code = """
import sys
from clary.algorithms.formats.recordio import _FRAME, _MAGIC, _length_delimited as field
import struct
def record(label, values):
    tensor = lambda v: field(2, field(1, struct.pack(f"<{len(v)}f", *v)))
    entry = lambda v: field(1, b"values") + field(2, tensor(v))
    return field(1, entry(values)) + field(2, entry([label]))
rows = [record(i % 2, [i % 2 + 0.5, i, 3.0]) for i in range(20)]
open(sys.argv[1], "wb").write(b"".join(_FRAME.pack(_MAGIC, len(r)) + r + bytes(-len(r) % 4) for r in rows))
"""
    path = bench.folder / "rows.recordio"
    bench.run(code, path)
    kind = "application/x-recordio-protobuf"
    ended = bench.train({"num_round": "1"}, {"train": (kind, {"data": path.read_bytes()})})
    assert "Train matrix has 20 rows and 3 columns" in ended.log, ended.log
    cut = bench.train({"num_round": "1"}, {"train": (kind, {"data": path.read_bytes()[:-5]})})
    assert "file data: truncated frame at the end" in cut.failure


@pytest.mark.parametrize("save", [True, False])
def test_sigterm(bench: Workbench, save: bool) -> None:
    given = {"num_round": "1000000", "max_depth": "2", "save_model_on_termination": str(save).lower()}
    layout = bench.layout(given, csv(table(50, 3)))
    with bench.start(layout) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("[3]\t"):
                break
        process.send_signal(signal.SIGTERM)
        ended = outcome(process, process.communicate(timeout=30)[0], layout)
    assert process.returncode == (0 if save else -signal.SIGTERM)
    assert (ended.layout.model / "xgboost-model").exists() == save


def test_settings_of_older_versions_are_named_as_without_effect(bench: Workbench) -> None:
    ended = bench.train({"num_round": "1", "sketch_eps": "0.1"}, csv(b"1,2\n2,3\n"))
    assert ended.status == 0
    assert "WARNING] Hyperparameter sketch_eps has no effect in XGBoost" in ended.log


@pytest.mark.slow
def test_thirty_thousand_rows_of_a_hundred_columns_are_read_in_seconds(bench: Workbench) -> None:
    code = """
import sys, time, numpy as np; from pathlib import Path
from clary.algorithms.formats.csv_text import read_csv
path = Path(sys.argv[1]); np.savetxt(path, np.random.default_rng(1).random((30000, 100)), "%.5f", ",")
start = time.process_time(); assert read_csv([path], ",").shape == (30000, 100); print(time.process_time() - start)
"""
    assert float(bench.run(code, bench.folder / "big.csv")) < 3
