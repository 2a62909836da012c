"""Which tags of a repository may be moved to another image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.services.ecr import faults, wildcards

_FILTERS = "imageTagMutabilityExclusionFilters"
_MODE = "imageTagMutability"
_EXCEPT = "_WITH_EXCLUSION"
_MOST_STARS = 2


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a request sets, as it is stored. Raises InvalidParameterException."""
    mode, filters = given.get(_MODE) or "MUTABLE", given.get(_FILTERS)
    if bool(filters) != mode.endswith(_EXCEPT):
        raise faults.invalid(_FILTERS, f"Exclusion filters belong to the modes that end in {_EXCEPT}")
    for each in filters or ():
        if each["filter"].count("*") > _MOST_STARS:
            raise faults.invalid(_FILTERS, f"A filter has at most {_MOST_STARS} wildcards")
    return {_MODE: mode, **({_FILTERS: filters} if filters else {})}


def fixed(settings: Mapping[str, Any], tag: str) -> bool:
    """Whether the tag has to stay where it is."""
    excluded = any(wildcards.matches(each["filter"], tag) for each in settings.get(_FILTERS) or ())
    return bool(settings[_MODE].startswith("IMMUTABLE")) != excluded
