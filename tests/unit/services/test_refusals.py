"""Options that are not built are refused whatever they look like, and nothing else is."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from clary.errors import ServiceError
from clary.services.refusals import refuse

NAMES = st.sampled_from(["A", "B", "C"])
VALUES = st.recursive(
    st.sampled_from([None, False, True, 0, 1, "", "x", [], {}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map(".".join), min_size=1, max_size=5)


def asks(value: Any, steps: list[str]) -> bool:
    if not steps:
        return bool(value)
    return isinstance(value, dict) and steps[0] in value and asks(value[steps[0]], steps[1:])


@drawn(given=st.dictionaries(NAMES, VALUES, max_size=3), paths=PATHS)
def test_the_first_path_that_asks_is_named(given: dict[str, Any], paths: list[str]) -> None:
    refused = next((path for path in paths if asks(given, path.split("."))), None)
    told = (
        contextlib.nullcontext()
        if refused is None
        else pytest.raises(ServiceError, match=re.escape(f"Op: {refused} is"))
    )
    with told:
        refuse("Op", given, paths)


@pytest.mark.parametrize("given", [{}, {"List": []}, {"List": [{}]}, {"List": [{"Other": 1}, {"Option": 0}]}])
def test_items_that_ask_for_nothing_pass(given: dict[str, Any]) -> None:
    refuse("Op", given, ["List[].Option"])


@pytest.mark.parametrize("paths", [["List[].Option"], ["List[].Option.More", "List[].Option"], ["List[]"], ["List"]])
def test_one_item_is_enough(paths: list[str]) -> None:
    with pytest.raises(ServiceError):
        refuse("Op", {"List": [{}, {"Option": "x"}]}, paths)
