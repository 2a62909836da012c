"""Which handlers are given a context, and what an answer may have of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clary.algorithms.serving import Headers, InvocationError
from clary.modelserver.context import Context, with_context


def called(handler: Any, optional: bool) -> Any:
    return with_context(handler, 1, optional)("the context", "folder")


def test_who_has_one_more_parameter_is_given_it() -> None:
    """One with a default only where AWS's image has a context: others leave it alone."""
    assert called(lambda folder, context: (folder, context), False) == ("folder", "the context")
    assert called(lambda folder, device="cpu": (folder, device), False) == ("folder", "cpu")
    assert called(lambda folder, context=None: (folder, context), True) == ("folder", "the context")
    assert called(lambda folder, a=1, b=2: (folder, a, b), True) == ("folder", 1, 2)
    assert called(lambda *words: words, True) == ("folder",)
    assert called(lambda folder, **more: more, True) == {}
    assert called(len, True) == 6


@pytest.fixture
def context(tmp_path: Path) -> Context:
    made = Context(tmp_path)
    made.begin(Headers([("Content-Type", "text/csv"), ("X-Amzn-SageMaker-Custom-Attributes", "a")]))
    return made


def test_headers_are_found_in_any_case_and_each_request_has_its_own(context: Context) -> None:
    assert context.get_request_header(0, "content-TYPE") == "text/csv"
    assert context.get_request_header(0, "Accept") is None
    assert list(context.get_all_request_header(0)) == ["Content-Type", "X-Amzn-SageMaker-Custom-Attributes"]
    context.set_response_status(404, "Nobody", 0)
    first = context.get_request_id()
    context.begin(Headers())
    assert (context.get_response_status(0), context.get_all_request_header(0)) == ((200, ""), {})
    assert context.get_request_id() != first


def test_the_handler_s_form_counts_and_its_other_headers_go_with_it(context: Context) -> None:
    context.set_response_content_type(0, "text/plain")
    context.set_response_header(0, "X-Own", "1")
    context.set_all_response_status(201, "Made")
    reply = context.reply(b"{}", "application/json")
    assert (reply.status, reply.phrase, reply.content_type, reply.headers) == (
        201,
        "Made",
        "application/json",
        {"X-Own": "1"},
    )
    assert context.get_response_content_type(0) == "text/plain"


@pytest.mark.parametrize(
    ("name", "value"), [("X", "a\nb"), ("X: a", "b"), ("X", "\u2603"), ("Content-Length", "0"), ("X", 1), ("", "a")]
)
def test_what_no_head_can_have_is_refused(context: Context, name: str, value: Any) -> None:
    context.set_response_header(0, name, value)
    with pytest.raises(InvocationError) as refused:
        context.reply(b"", "text/plain")
    assert refused.value.status == 500


@pytest.mark.parametrize(
    ("status", "phrase", "form"), [(101, "", "a/b"), (600, "", "a/b"), (200, "a\r\nb", "a/b"), (200, "", "a\nb")]
)
def test_nor_a_status_or_form_of_that_kind(context: Context, status: int, phrase: str, form: str) -> None:
    context.set_response_status(status, phrase)
    with pytest.raises(InvocationError):
        context.reply(b"", form)


def test_metrics_are_lines_of_the_log(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    context.metrics.add_time("Load", 1.5, unit="s", dimensions=["Where:here"])
    context.metrics.add_counter("Words", 2)
    context.metrics.add_counter("Words", 3)
    context.begin(Headers())
    context.metrics.add_counter("Words", 1)
    context.metrics.add_error("Reason", "none")
    said = [line.partition("|#hostname:")[0] for line in capsys.readouterr().out.splitlines()]
    assert said[0] == "Load.Seconds:1.5|#Where:here,ModelName:model,Level:Model"
    assert [line.partition("|")[0] for line in said[1:]] == [
        *("Words.Count:2", "Words.Count:5", "Words.Count:1", "Reason.:none")
    ]
    with pytest.raises(ValueError, match="has to be one of"):
        context.metrics.add_size("Size", 1, unit="pages")


def test_a_model_archive_s_manifest_is_told(tmp_path: Path) -> None:
    assert Context(tmp_path).manifest["model"]["modelName"] == "model"
    (tmp_path / "MAR-INF").mkdir()
    (tmp_path / "MAR-INF" / "MANIFEST.json").write_text(json.dumps({"model": {"modelName": "mine"}}))
    assert Context(tmp_path).manifest == {"model": {"modelName": "mine"}}
