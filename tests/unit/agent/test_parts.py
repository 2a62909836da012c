"""The agent's pure parts: lines, metrics, staging plans, the spool, signatures."""

from __future__ import annotations

import calendar
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.agent.failures import ClientFailure
from clary.agent.lines import LONGEST_EVENT, LineSplitter, MetricScraper, needed
from clary.agent.sigv4 import EMPTY, path_of, query_of, sign
from clary.agent.spool import Spool
from clary.agent.stage import Item, _below, layout, share
from clary.contract.instance import Credentials, MetricDefinition, Phase
from clary.contract.link import LogBatch, Report, decode
from thorough import examples


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))), st.data())
def test_lines_do_not_depend_on_how_bytes_arrive(lines: list[str], data: st.DataObject) -> None:
    raw = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)))))
    splitter, got = LineSplitter(), []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        got += splitter.feed(raw[start:end])
    assert got + splitter.feed(b"", final=True) == lines


def test_progress_bars_invalid_bytes_and_unfinished_lines() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"10%\r20%\r") == ["10%"]
    assert splitter.feed(b"\nnext\r\n\xff\xfe\nrest") == ["20%", "next", "\ufffd\ufffd"]
    assert splitter.feed(b"", final=True) == ["rest"]


def test_a_line_longer_than_an_event_is_cut() -> None:
    lines = LineSplitter().feed(b"x" * (LONGEST_EVENT * 2) + b"\n")
    assert "".join(lines) == "x" * (LONGEST_EVENT * 2)
    assert all(len(line) <= LONGEST_EVENT for line in lines)


def test_metrics_take_the_last_number_and_skip_the_rest() -> None:
    scraper = MetricScraper([MetricDefinition("a", "a=(\\S+)"), MetricDefinition("tab", "x#011y=([0-9]+)")])
    for at, line in enumerate(("a=1", "a=nan?", "b=3", "x\ty=5", "a=2.5")):
        scraper.scan(line, float(at))
    assert scraper.values == {"a": (2.5, 4.0), "tab": (5.0, 3.0)}


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        (r".*\[[0-9]+\].*#011train-auc:([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*", "#011train-auc:"),
        (r"foo?bar", "bar"),
        (r"ab*?cd+ef", "cd"),
        (r"a{2,3}bc", "bc"),
        (r"a(b(c)d)?efg[^]]xy", "efg"),
        (r"loss=(\d+)|auc=(\d+)", ""),
        (r"(?i)loss", ""),
        (r"\x41bcd", ""),
        (r"v:\s([0-9.]+)", "v:"),
    ],
)
@settings(max_examples=examples(100))
@given(data=st.data())
def test_the_text_that_a_regex_needs_is_in_all_it_matches(regex: str, text: str, data: st.DataObject) -> None:
    assert needed(regex) == text
    assert text in data.draw(st.from_regex(regex))


def test_a_regex_that_would_take_for_ever_is_interrupted_and_given_up() -> None:
    scraper = MetricScraper([MetricDefinition("bad", "^(a+)+$"), MetricDefinition("good", "n=([0-9]+)")])
    before = time.monotonic()
    for _ in range(5):
        scraper.scan("a" * 60 + "! n=1", 1.0)
    assert time.monotonic() - before < 5
    assert scraper.values == {"good": (1.0, 1.0)}


@pytest.mark.parametrize(
    ("key", "prefix", "path"),
    [
        ("d/a.csv", "d/", "a.csv"),
        ("d/a.csv", "d", "a.csv"),
        ("d/s/a.csv", "d", "s/a.csv"),
        ("d/train.csv", "d/train.csv", "train.csv"),
        ("d/train.csv", "d/tr", "train.csv"),
        ("d/train/a", "d/tr", "train/a"),
        ("a", "", "a"),
    ],
)
def test_where_a_key_goes(key: str, prefix: str, path: str) -> None:
    assert _below(key, prefix) == path


def test_shares_are_disjoint_and_whole() -> None:
    items = [Item("b", f"{number}", f"{number}") for number in range(7)]
    parts = [share(items, host, 3) for host in range(3)]
    assert [len(part) for part in parts] == [3, 2, 2]
    assert sorted(each.key for part in parts for each in part) == sorted(each.key for each in items)
    assert share(items[:1], 1, 3) == []


@pytest.mark.parametrize("path", ["../x", "a/../b", "a/\0", "x" * 300, "."])
def test_keys_that_cannot_be_files_are_refused(path: str) -> None:
    with pytest.raises(ClientFailure, match="cannot be a file's path"):
        layout([Item("b", path, path)])


def test_the_spool_sends_again_from_the_last_acknowledgement(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(Phase("Starting", 1.0, "m"))
    spool.append(LogBatch(0, ((1, "é"),)))
    lines = spool.read(0, 1 << 20).splitlines(keepends=True)
    reports = [decode(line) for line in lines]
    assert [each.position for each in reports if isinstance(each, Report)] == [0, len(lines[0])]
    spool.acknowledge(len(lines[0]))
    assert spool.read(spool.acknowledged, 10) == lines[1]
    assert not spool.wait_empty(0)
    spool.acknowledge(spool.end)
    assert spool.wait_empty(0)
    batch = reports[1].content() if isinstance(reports[1], Report) else None
    assert batch == LogBatch(0, ((1, "é"),)) and batch.end() == 3


def test_signatures_are_those_of_botocore() -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Theirs

    key, query = "a b/ü+&~/x", {"list-type": "2", "prefix": "d/ é"}
    path, text = path_of("bucket", key), query_of(query)
    request = AWSRequest("GET", f"http://127.0.0.1:1{path}?{text}")
    request.headers["X-Amz-Content-SHA256"] = EMPTY
    request.headers["X-Amz-Server-Side-Encryption"] = "aws:kms"
    signer = S3SigV4Auth(Theirs("AK", "SK", "ST"), "s3", "us-east-1")
    signer.add_auth(request)
    stamp = time.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ")
    ours = sign(
        "GET",
        {"host": "127.0.0.1:1", "x-amz-server-side-encryption": "aws:kms"},
        path,
        text,
        EMPTY,
        Credentials("AK", "SK", "ST", 0.0),
        "us-east-1",
        float(calendar.timegm(stamp)),
    )
    assert ours["authorization"] == request.headers["Authorization"]


def test_the_launcher_is_lean() -> None:
    """Agents are forks of it: what it imports, every instance holds."""
    code = "import sys, clary.agent.launcher; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"botocore", "boto3", "sqlalchemy", "cryptography", "asyncio", "numpy"} & set(imported)
