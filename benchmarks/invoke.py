"""InvokeEndpoint from end to end, against other people's model servers with the same model.

python benchmarks/invoke.py [--rounds N] [--keep] [--peers uvicorn,fastapi,...]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.credentials import Credentials
from measure import serving_peers
from measure.hosting import create_endpoint, logged, upload
from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.servers import Clary, clary
from measure.serving import Serving
from measure.serving_peers import FLOOR, PEERS, SERVERS, VENVS
from measure.signed import invocations

ABOUT = """One CSV row in, one number out: XGBoost 3.2, 100 trees of depth 5, 8 features. Clary gets 2,000 differently
signed InvokeEndpoint requests, as boto3 sends them, and verifies, authorises, counts and passes each one on through
its gateway to the sandboxed model server; a peer gets plain requests with the same rows on its own port and does none
of that. One worker process each, one thread per library, no access logs, wrk on the same cores. Peers predict with
`Booster.inplace_predict`, except the classic container (nginx, gunicorn with gevent, Flask: genfromtxt and DMatrix)
and MLServer (its own runtime). CPU is of all processes of a server, Clary's control plane and agents included. After
each sample answers are held to xgboost's own, bit for bit. *start* is from the command (Clary: from CreateEndpoint,
the server up; the first endpoint starts the fork server, the second finds it; a machine's first run builds the
image's environment too) to the first right answer, once; *MB* what all processes hold, shared pages once (Clary: the
server, the fork server, both endpoints). *exact* is XGBoost itself through its C interface; *fast*, the default,
finds a single row's leaves with LightGBM and sums them as XGBoost does."""
WHERE = """Profiles (py-spy, perf) of the fast predictor at 16: two thirds of the CPU is the edge's, one third the model
server's, 1 % the control plane's and the agent's. Two thirds of the edge's is interpreted Python (the head, the
canonical request, the answer); the kernel is a sixth of it, OpenSSL's hashing a twentieth (see the gateway's hop). With
the exact predictor the two are alike, and more than half of the model server's is XGBoost: a row's walk through the
trees is the least part of it. At 1 the p50 is about the CPU of both processes, one after the other.

*p50 at 1 of nginx's fixed answer* is out of reach: that is 25 us here, for one process in C that looks at nothing; two
processes in Python with a signature between them would have to do with 50 us each, wake-ups and all. It takes the head
and the signature out of Python. *req/s at 16 of the fast predictor*: the edge is the narrowest place; what it spends
less on a request shows at once. *p99 at 1* of the
exact predictor is FastAPI's in some runs and above it in others. Where no other server is up it is 0.5 to 0.6 ms, for
both predictors; with these nine beside it, it is two to three times that, and nginx's grows more. That what they do
while they wait is the cause is likely and not traced: a request to Clary wakes a process four times where theirs wakes
one twice, on two cores that wrk shares, so what else runs there shows in Clary first.

The two cores of this virtual machine differ: the same loop took up to 1.9 times the CPU on one of them."""
EXACT, FAST, NGINX = "clary, exact", "clary, fast", "floor: nginx, fixed answer"
PREDICTORS = {EXACT: "exact", FAST: "fast"}
FAST_LINE = "predicted by the fast predictor"  # in its log, once it is built and agrees
LOWER = ("p50 us at 1", "p99 us at 1", "CPU us at 1", "p50 us at 16", "p99 us at 16", "CPU us at 16")  # is better
HIGHER = ("req/s at 1", "req/s at 16")


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


def ours(server: Clary, predictor: str, abalone: Abalone, archive: str) -> Serving:
    """An endpoint named for its predictor; its requests' signatures hold for 15 minutes."""
    started, name = time.monotonic(), predictor
    create_endpoint(server, name, archive, {"CLARY_XGBOOST_PREDICTOR": predictor})
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
        found, archive = {}, upload(server, abalone.model)
        for name, predictor in PREDICTORS.items():
            found[name] = ours(server, predictor, abalone, archive)
            found[name].wait()
        logged(server, PREDICTORS[FAST], FAST_LINE)
        for name, peer in {NGINX: FLOOR, **{each: SERVERS[each] for each in chosen}}.items():
            running = serving_peers.running(peer, abalone.model, abalone.rows, abalone.answers)
            found[name] = stack.enter_context(running)
            found[name].wait()
        yield found


def bars(report: Report) -> list[Bar]:
    found, peers = [], [each for each in SERVERS if each in report.figures]
    for name, slowest, least in ((EXACT, 0.65, 2.5), (FAST, 0.5, 6)) if "fastapi" in peers else ():
        quick, many = (report.ratio(each, name, "fastapi") for each in ("p50 us at 1", "req/s at 16"))
        found.append(Bar(f"{PREDICTORS[name]}: p50 at 1, of FastAPI's", quick, slowest))
        found.append(Bar(f"{PREDICTORS[name]}: req/s at 16, of FastAPI's", many, least, least=True))
    found.append(Bar("fast: p50 at 1, of nginx's fixed answer", report.ratio("p50 us at 1", FAST, NGINX), 4))
    return found + [Bar(f"exact: its worst figure, of {peer}'s", worst(report, EXACT, peer), 1) for peer in peers]


def worst(report: Report, ours: str, peer: str) -> float:
    """The figure in which ours compares worst, as a ratio: below 1 where ours is ahead in all of them."""
    lower = [report.ratio(each, ours, peer) for each in LOWER]
    return max(lower + [1 / report.ratio(each, ours, peer) for each in HIGHER])


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
