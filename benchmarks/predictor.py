"""One row and 1,000 rows in the model server, beside XGBoost's own calls; then the whole model server under load.

python benchmarks/predictor.py [--rounds N] [--keep]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from measure.report import Bar, Report, arguments
from measure.rounds import Spread, take_turns
from measure.serving_peers import PEERS, Command, Peer, Place, running

from clary.config import Settings
from clary.images import environments, inside

ABOUT = """A model of 100 trees of depth 5 on 8 features, in the image's own environment, one thread. "One row": numbers
in, numbers out; "bytes to bytes": from a request's CSV body to the answer's text, where `inplace_predict` has
`np.array(body.split())` before it and DMatrix `genfromtxt`, as in AWS's older containers. Every answer to 1,000
different rows is first held to the model's own, bit for bit, of all contenders. CPU time for each call. "At 16" is the
whole model server on a loopback port under wrk with 16 connections (bit-checked again), CPU of its process for each
request; its floor is the least that httptools on uvloop does to answer, without a model."""
WHERE = """XGBoost itself spends a single row's time around its trees: it makes a matrix for the row and with it counts
the machine's processors in its cgroup files; compiles a regular expression to read the word `cpu`; and walks all nodes
of the model to find its depth, so that a larger model is slower even where a row's way through it is as short. The
trees themselves are under a tenth. *exact* keeps the matrix, which leaves out the first of the three; the other two
are in the library's one call for dense rows. *fast* has the leaves found by LightGBM's call for single rows and sums
them in XGBoost's order in float32, so that the bits are XGBoost's; it is built in the background (0.1 s of CPU for this
model, 2 s for one of 1,000 trees of depth 6), held to XGBoost at every split of the model, and not used where one
bit differs. What is left of a row's time is half LightGBM, half six calls of NumPy on arrays of 8 and 100 numbers.
A compiler on the user's machine would take the half of LightGBM away, ONNX Runtime would double it. 1,000 rows go
through XGBoost's own call in both.

The goal of 20 us for a request was set on a machine where `inplace_predict` took 155 us. Alone, a row takes from bytes
to bytes what the table says, HTTP 3 to 6 us beside it (a head that came before is not parsed again: a gateway's are the
same but for the body's length), the kernel and the loop what the floor says; with the load generator on the
machine's other core all of it takes nearly twice as long. What would reach the goal is less Python: the
row's six NumPy calls in a compiled extension."""

EXACT, FAST, LIBRARY, FLOOR = "clary, exact", "clary, fast", "inplace_predict", "floor: httptools on uvloop"
ONE, MANY, SERVED = "CPU us, one row", "CPU us, 1,000 rows", "CPU us at 16"


def image() -> tuple[Path, Path]:
    """The Python of the image's environment, built if it has to be, and the folder of what Clary runs in it."""
    settings = Settings.load()
    return environments.build(settings, "xgboost", print) / "bin" / "python", inside.tree(settings)


def in_image(python: Path, path: Sequence[Path], *words: object) -> str:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    variables |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [python, *map(str, words)], env=variables, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def model_server(python: Path, tree: Path, predictor: str) -> Peer:
    def commands(place: Place) -> Sequence[Command]:
        (place.folder / "model").mkdir()
        shutil.copy(place.model, place.folder / "model" / "xgboost-model")
        given = {"SAGEMAKER_BASE_DIR": place.folder, "SAGEMAKER_BIND_TO_PORT": place.port, "PYTHONPATH": tree}
        given |= {"CLARY_ALGORITHM": "xgboost", "CLARY_XGBOOST_PREDICTOR": predictor}
        return [["env", *(f"{name}={value}" for name, value in given.items()), str(python), "-m", "clary.modelserver"]]

    return Peer("image", commands)


def fixed_answer(python: Path) -> Peer:
    return Peer("", lambda place: [[str(python), str(PEERS / "fixed_answer.py"), str(place.port)]])


def under_load(servers: dict[str, Peer], folder: Path, rounds: int) -> dict[str, dict[str, Spread]]:
    rows = (folder / "rows.csv").read_text().splitlines()
    answers = [float(line) for line in (folder / "answers.txt").read_text().splitlines()]
    contenders: dict[str, Callable[[], dict[str, float]]] = {}
    with ExitStack() as stack:
        for name, each in servers.items():
            serving = stack.enter_context(running(each, folder / "model.ubj", rows, answers))
            serving.wait()
            contenders[name] = serving.contender()
        return take_turns(contenders, rounds)


def main() -> None:
    given = arguments(__doc__ or "", 5)
    python, tree = image()
    with tempfile.TemporaryDirectory(prefix="clary-predictor-") as temporary:
        folder = Path(temporary)
        in_image(python, [], PEERS / "abalone.py", folder)
        program = (PEERS / "predictors.py", folder, given.rounds)
        printed = in_image(python, [tree, PEERS.parent], *program)
        figures = {
            name: {figure: Spread(*of) for figure, of in each.items()} for name, each in json.loads(printed).items()
        }
        servers = {FLOOR: fixed_answer(python)}
        servers |= {name: model_server(python, tree, name.rpartition(" ")[2]) for name in (EXACT, FAST)}
        for server, each in under_load(servers, folder, given.rounds).items():
            figures[server] = figures.get(server, {}) | {figure: each[figure] for figure in (SERVED, "req/s at 16")}
    report = Report("predictor", "The predictor", ABOUT, given.rounds, figures, where=WHERE)
    report.bars = [
        Bar("exact, one row, of inplace_predict", report.ratio(ONE, EXACT, LIBRARY), 0.4),
        Bar("fast, one row, of inplace_predict", report.ratio(ONE, FAST, LIBRARY), 0.1),
        Bar("1,000 rows, of inplace_predict", report.ratio(MANY, EXACT, LIBRARY), 1.0),
        Bar("the model server's CPU for a request at 16, fast", figures[FAST][SERVED].median, 20, "us"),
    ]
    report.finish(given.keep)


if __name__ == "__main__":
    main()
