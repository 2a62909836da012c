"""Request heads are read as the parser reads them: one way, whatever came."""

from __future__ import annotations

import contextlib

import pytest
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.edge.heads import BadRequestError, parse
from thorough import examples

NAMES = st.sampled_from(
    [
        "Host",
        "host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Expect",
        "X-Amz-Date",
        "x-a",
        "X A",
        "X:",
        "",
    ]
)
BLANKS = st.sampled_from(["", " ", "  ", "\t", " \t"])
VALUES = st.one_of(
    st.sampled_from(["h", "5", "05", "chunked", "close", "keep-alive", "100-continue", "a: b", "a,b", "\xe9\xff"]),
    st.text(st.characters(max_codepoint=255), max_size=6),
)
LINES = st.builds(lambda name, before, value, after: f"{name}:{before}{value}{after}", NAMES, BLANKS, VALUES, BLANKS)
ENDS = st.sampled_from(["\r\n"] * 12 + ["\n", "\r", "\r\n "])
STARTS = st.builds(
    lambda method, target, version: f"{method} {target}{version}",
    st.sampled_from(["GET", "POST", "M-SEARCH", "\nGET", "get", "BREW", "CONNECT"]),
    st.sampled_from(["/", "/a?b=c#d", "http://h/x", "h:443", "*", " /", "/ b", "/\xe9"]),
    st.sampled_from([" HTTP/1.1", " HTTP/1.0", "  HTTP/1.1", " HTTP/1.2", " HTTP/2.0", ""]),
)


class Reference:
    """The parser's own reading."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.pairs: list[tuple[str, str]] = []
        parser = HttpRequestParser(self)
        with contextlib.suppress(HttpParserUpgrade):
            parser.feed_data(data)
        self.method = parser.get_method().decode()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))


@settings(max_examples=examples(400), deadline=None)
@given(STARTS, st.lists(st.tuples(LINES, ENDS), max_size=5), ENDS)
def test_what_is_read_is_what_the_parser_reads(start: str, lines: list[tuple[str, str]], end: str) -> None:
    text = start + end + "".join(line + ending for line, ending in lines)
    data = f"{text}\r\n".partition("\r\n\r\n")[0].encode("latin-1") + b"\r\n\r\n"  # as a connection cuts it out
    try:
        head = parse(data)
    except BadRequestError:
        return
    try:
        reference = Reference(data)
    except HttpParserError as error:
        pytest.fail(f"the parser refuses {data!r}: {error}")
    assert (head.method, head.target) == (reference.method, reference.url.decode("latin-1"))
    assert head.pairs() == reference.pairs
    by_name: dict[str, tuple[str, ...]] = {}
    for name, value in reference.pairs:
        by_name[name.lower()] = (*by_name.get(name.lower(), ()), value)
    assert head.fields == by_name


def test_a_line_is_remembered_and_a_long_head_is_not_but_both_are_read_the_same() -> None:
    for filler in ("x", "x" * 5000):
        for value in ("one", "two", "one"):
            head = parse(f"GET / HTTP/1.1\r\nHost: h\r\nX-Same: {value}\r\nX-Filler: {filler}\r\n\r\n".encode())
            assert head.fields == {"host": ("h",), "x-same": (value,), "x-filler": (filler,)}
