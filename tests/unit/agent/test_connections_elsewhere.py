"""Where an agent reads and writes past the server: addresses of every form."""

from __future__ import annotations

import pytest

from clary.agent import elsewhere


@pytest.mark.parametrize(
    ("scheme", "host", "port", "expected"),
    [
        ("http", "::1", None, ("::1", 80)),
        ("https", "fe80::7", None, ("fe80::7", 443)),
        ("http", "::1", 9000, ("::1", 9000)),
        ("https", "store.example", None, ("store.example", 443)),
    ],
)
def test_an_address_is_taken_as_it_is(scheme: str, host: str, port: int | None, expected: tuple[str, int]) -> None:
    connection = elsewhere.connect(scheme, host, port, "")
    assert (connection.host, connection.port) == expected
