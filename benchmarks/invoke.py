"""InvokeEndpoint from end to end, against other people's model servers with the same model.

python benchmarks/invoke.py [--rounds N] [--keep] [--peers uvicorn,fastapi,...]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.credentials import Credentials
from measure import serving_peers
from measure.hosting import create_endpoint, upload
from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import Clary, clary
from measure.serving import Serving
from measure.serving_peers import FLOOR, PEERS, SERVERS, VENVS
from measure.signed import invocations

ABOUT = """One CSV row in, one number out: XGBoost 3.2, 100 trees of depth 5, 8 features. Clary gets 2,000 differently
signed InvokeEndpoint requests, as boto3 sends them, and verifies, authorises, counts and passes each one on through its
gateway to the sandboxed model server; a peer gets plain requests with the same rows on its own port and does none of
that. One worker process each, one thread per library, no access logs, wrk on the same cores. Peers predict with
`Booster.inplace_predict`, except the classic container (nginx, gunicorn with gevent, Flask: genfromtxt and DMatrix) and
MLServer (its own runtime). CPU is of all processes of a server, Clary's control plane and agents included. After each
sample answers are held to xgboost's own: bit for bit, the fast predictor's to 1e-5. *start* is from the command (Clary:
from CreateEndpoint, the server up) to the first right answer, once; *MB* what all processes hold, shared pages once
(Clary: the server, the fork server and one endpoint for each predictor)."""
WHERE = ""
EXACT, NGINX = "clary, exact", "floor: nginx, fixed answer"
LOAD_FIGURES = ("p50 us at 1", "p99 us at 1", "CPU us at 1", "p50 us at 16", "p99 us at 16", "CPU us at 16")


@dataclass(frozen=True)
class Abalone:
    """The model's file, rows to ask for, and what xgboost says to each."""

    model: Path
    rows: list[str]
    answers: list[float]

    @classmethod
    def make(cls, folder: Path) -> Abalone:
        python = VENVS / "peers-serving" / "bin" / "python"
        if not python.exists():
            raise SystemExit("this benchmark needs its peers: make benchmarks")
        subprocess.run([python, PEERS / "abalone.py", folder], check=True)
        answers = [float(line) for line in (folder / "answers.txt").read_text().split()]
        return cls(folder / "model.ubj", (folder / "rows.csv").read_text().split(), answers)


def ours(server: Clary, name: str, abalone: Abalone, archive: str, variables: Mapping[str, str]) -> Serving:
    """An endpoint; its requests' signatures hold for 15 minutes."""
    started = time.monotonic()
    create_endpoint(server, name, archive, variables)
    keys = server.keys()
    key = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys.get("AWS_SESSION_TOKEN"))
    bodies = [row.encode() for row in abalone.rows]
    requests = invocations(server.port, name, bodies, key, keys["AWS_REGION"])
    return Serving(server.port, requests, abalone.answers, float, server.pids, started=started)


@contextmanager
def servers(chosen: list[str]) -> Iterator[dict[str, Serving]]:
    """All up at once, each from the start of its own."""
    with ExitStack() as stack:
        abalone = Abalone.make(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clary-bench-"))))
        server = stack.enter_context(clary())
        found = {EXACT: ours(server, "exact", abalone, upload(server, abalone.model), {})}
        found[EXACT].wait()
        for name, peer in {NGINX: FLOOR, **{each: SERVERS[each] for each in chosen}}.items():
            running = serving_peers.running(peer, abalone.model, abalone.rows, abalone.answers)
            found[name] = stack.enter_context(running)
            found[name].wait()
        yield found


def bars(report: Report) -> list[Bar]:
    def reached(peer: str) -> Bar:
        figures = [report.ratio(each, EXACT, peer) for each in LOAD_FIGURES]
        figures += [1 / report.ratio(each, EXACT, peer) for each in ("req/s at 1", "req/s at 16")]
        return Bar(f"exact: its worst figure, of {peer}'s", max(figures), 1)

    found = [reached(peer) for peer in SERVERS if peer in report.figures and peer != "fastapi"]
    if "fastapi" in report.figures:
        rate = report.ratio("req/s at 16", EXACT, "fastapi")
        found = [
            Bar("exact: p50 at 1, of FastAPI's", report.ratio("p50 us at 1", EXACT, "fastapi"), 0.65),
            Bar("exact: req/s at 16, of FastAPI's", rate, 2.5, least=True),
            *found,
        ]
    return found


def options() -> argparse.Namespace:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--peers", default=",".join(SERVERS), help="some of: %(default)s")

    return arguments(__doc__ or "", 5, more)


def main() -> None:
    given = options()
    chosen = [each for each in given.peers.split(",") if each]
    if missing := [each for each in chosen if not SERVERS[each].installed]:
        print(f"not installed, left out: {', '.join(missing)} (make benchmarks)")
    with servers([each for each in chosen if each not in missing]) as found:
        once = {name: each.once() for name, each in found.items()}
        figures = take_turns({name: each.contender() for name, each in found.items()}, given.rounds)
    report = Report(
        "invoke",
        "InvokeEndpoint",
        ABOUT,
        given.rounds,
        {name: figures[name] | once[name] for name in figures},
        where=WHERE,
    )
    report.bars = bars(report)
    report.finish(given.keep)


if __name__ == "__main__":
    main()
