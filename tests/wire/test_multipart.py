"""Forms: what browsers and other clients write is read, in whatever pieces it comes; anything else is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from clary.errors import ServiceError
from clary.wire.messages import BytesBody
from clary.wire.multipart import LIMIT, Form, read_form

BOUNDARY = "----edge"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
DELIMITER = f"\r\n--{BOUNDARY}".encode()


class Pieces:
    """A body that comes in pieces of its sender's choice."""

    length: int | None = None

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        assert size > 0
        self._rest = self._rest or next(self._pieces, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def part(disposition: str, content: bytes = b"", more: str = "") -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n"
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
KEY, FILE = part('name="key"', b"k"), part('name="file"; filename="f"', b"data")


def read(body: bytes, content_type: str = TYPE) -> Form:
    return read_form(content_type, BytesBody(body))


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", DELIMITER[:-1], DELIMITER[2:], b"\0", b"data"]), max_size=30),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_a_file_comes_through_whatever_the_pieces(content: list[bytes], sent: int, asked: int) -> None:
    data = b"".join(content).replace(DELIMITER, b"")
    body = KEY + part('name="file"; filename="f"', data) + END
    form = read_form(TYPE, Pieces(body[at : at + sent] for at in range(0, len(body), sent)))
    assert dict(form.fields) == {"key": "k"}
    assert b"".join(iter(lambda: form.file.read(asked), b"")) == data
    assert form.file.read(asked) == b""


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), st.text(max_size=50), max_size=5),
    st.text(st.characters(codec="utf-8", exclude_characters='\r\n"%\\'), max_size=20),
    st.binary(max_size=200),
)
def test_what_urllib3_writes_is_read(fields: dict[str, str], filename: str, data: bytes) -> None:
    fields = {name: value for name, value in fields.items() if name.isidentifier() and name.islower()}
    fields.pop("file", None)
    body, content_type = encode_multipart_formdata([*fields.items(), ("file", (filename, data))])
    form = read(body, content_type)
    assert (dict(form.fields), form.filename, form.file.read()) == (fields, filename, data)


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="file"', ""),
        ("name=file; filename=plain", "plain"),
        ('name="FILE"; filename="C:\\photos\\cat.png"', "C:\\photos\\cat.png"),
        ('name="file"; filename="a%22b"', 'a"b'),
        ('name="file"; filename="a\\"b; c=d"', 'a"b; c=d'),
        ("name=\"file\"; filename*=utf-8''%C3%BC.txt", "ü.txt"),
        ('name="file"; filename="ü.txt"', "ü.txt"),
    ],
)
def test_names_of_files(disposition: str, filename: str) -> None:
    assert read(part(disposition, b"data") + END).filename == filename


def test_the_boundary_may_be_quoted_and_lines_may_end_in_blanks() -> None:
    body = b"a preamble\r\n" + KEY.replace(b"--edge\r", b"--edge \t\r") + FILE + END + b"an epilogue"
    form = read(body, 'Multipart/Form-Data; charset="x"; Boundary="----edge"')
    assert (form.fields["key"], form.file.read()) == ("k", b"data")


def test_fields_behind_the_file_are_passed_over() -> None:
    form = read(FILE + KEY + END)
    assert (dict(form.fields), form.file.read()) == ({}, b"data")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedPOSTRequest"),
        (b"key=k", "MalformedPOSTRequest"),
        (END, "IncorrectNumberOfFilesInPostRequest"),
        (KEY + END, "IncorrectNumberOfFilesInPostRequest"),
        (KEY + FILE + FILE + END, "IncorrectNumberOfFilesInPostRequest"),
        (KEY + KEY + FILE + END, "MalformedPOSTRequest"),
        (KEY + KEY.replace(b"key", b"KEY") + FILE + END, "MalformedPOSTRequest"),
        (KEY + FILE, "MalformedPOSTRequest"),
        (KEY + FILE + END[:-4], "MalformedPOSTRequest"),
        (KEY + FILE + b"--" + BOUNDARY.encode() + b"x\r\n", "MalformedPOSTRequest"),
        (KEY.replace(b"\r\n", b"\n") + FILE + END, "MalformedPOSTRequest"),
        (part('name=""', b"x") + FILE + END, "MalformedPOSTRequest"),
        (part('name="a"; name="b"', b"x") + FILE + END, "MalformedPOSTRequest"),
        (part('name="a', b"x") + FILE + END, "MalformedPOSTRequest"),
        (part('name="a"', b"x").replace(b"form-data", b"attachment") + FILE + END, "MalformedPOSTRequest"),
        (part('name="a"', b"\xff") + FILE + END, "MalformedPOSTRequest"),
        (part('name="file"', b"ZGF0YQ==", "Content-Transfer-Encoding: base64\r\n") + END, "MalformedPOSTRequest"),
        (part('name="file"', b"x", "no header\r\n") + END, "MalformedPOSTRequest"),
        (part('name="a"', b"x" * LIMIT) + FILE + END, "MaxPostPreDataLengthExceededError"),
        (b"".join(part(f'name="a{i}"') for i in range(LIMIT // 50)) + FILE + END, "MaxPostPreDataLengthExceededError"),
        (part(f'name="{"a" * LIMIT}"', b"x") + FILE + END, "MaxPostPreDataLengthExceededError"),
        (FILE + part('name="a"', b"x" * LIMIT) + END, "MaxPostPreDataLengthExceededError"),
        (FILE + END + b"x" * (LIMIT + 1), "MaxPostPreDataLengthExceededError"),
    ],
)
def test_what_is_no_form_is_refused_before_its_file_has_ended(body: bytes, code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        read(body).file.read()
    assert refused.value.code == code


@pytest.mark.parametrize("content_type", ["", "multipart/form-data", "multipart/form-data; boundary="])
def test_without_a_boundary(content_type: str) -> None:
    with pytest.raises(ServiceError, match="not well-formed"):
        read(KEY + FILE + END, content_type)


def test_a_large_file_is_never_held() -> None:
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        yield KEY + part('name="file"')[:-2]
        for _ in range(1024):
            taken += len(almost)
            yield almost
        yield b"\r\n" + END

    almost = DELIMITER[:-1] * 8192  # looks like the file's end all the way
    form, given = read_form(TYPE, Pieces(pieces())), 0
    while piece := form.file.read(1 << 20):
        given += len(piece)
        assert taken - given < 1 << 20
    assert given == taken == 1024 * len(almost)
