"""A query that is canonical as it stands is signed as it stands: the short way gives what the long way does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.auth import canonical

UNITS = st.sampled_from(["a", "Z", "0", "-", "=", "+", "/", "%2F", "%2f", "%41", "%7E", "%20", "%", "%C3", "é", ""])
TEXTS = st.lists(UNITS, max_size=6).map("".join)


@given(names=st.lists(TEXTS, max_size=4), values=st.lists(TEXTS, max_size=4))
def test_both_ways_agree(names: list[str], values: list[str]) -> None:
    pieces = [f"{name}={value}" for name, value in zip(names, values, strict=False)]
    text = "&".join(pieces)
    canonical_already = canonical._CANONICAL_QUERY.fullmatch(text)
    split = [piece.partition("=") for piece in text.split("&") if piece]
    encoded = [(canonical._parameter(name), canonical._parameter(value)) for name, _, value in split]
    if canonical_already:
        assert encoded == [(name, value) for name, _, value in split]
        assert canonical.query(text) == "&".join(f"{name}={value}" for name, value in sorted(encoded))


@pytest.mark.parametrize("byte", range(256))
def test_an_escape_is_canonical_where_it_has_to_be_one(byte: int) -> None:
    for escape in (f"%{byte:02X}", f"%{byte:02x}"):
        stands = canonical._CANONICAL_QUERY.fullmatch(f"a={escape}") is not None
        assert stands == (canonical.reencoded(escape) == escape)
