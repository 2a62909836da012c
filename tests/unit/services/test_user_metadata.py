"""User metadata that is stored can be told again, whichever way it came."""

from __future__ import annotations

import pytest

from clary.errors import ServiceError
from clary.services.s3.user_metadata import received, shown


@pytest.mark.parametrize("name", ["a: 1\r\nSet-Cookie", "a b", "a:b", "日", "a\n", "a\x01", "(a)", 'a"'])
def test_names_that_no_header_can_have(name: str) -> None:
    with pytest.raises(ServiceError) as refused:
        received({"Metadata": {name: "v"}})
    assert (refused.value.code, refused.value.status) == ("InvalidArgument", 400)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "\x00", "\x7f"])
def test_values_that_no_header_can_have(value: str) -> None:
    with pytest.raises(ServiceError) as refused:
        received({"Metadata": {"a": value}})
    assert refused.value.code == "InvalidArgument"


def test_what_headers_can_have() -> None:
    names = "!#$%&'*+-.^_`|~09Az"
    assert shown(received({"Metadata": {names: "a\tb"}})) == {names.lower(): "a\tb"}
