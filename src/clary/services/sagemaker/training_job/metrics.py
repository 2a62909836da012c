"""A built-in algorithm's metric definitions, which every job of it shows and no job has its own of.

They are three quarters of what Describe answers, so a stored document only says whose they are; they are put in where
it is told. A document of an earlier release has them itself.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec
from clary.services import resources
from clary.services.operation import Document
from clary.store.records import Record
from clary.wire import body_json

_MEMBER, _WHOSE = "MetricDefinitions", "Algorithm"
# As documents are written. A request's own texts cannot look like it: within one a quote has a backslash before it.
_REFERENCE = re.compile(rf'"{_MEMBER}": ?{{"{_WHOSE}": ?"([a-z0-9-]+)"}}')


def reference(algorithm: AlgorithmSpec) -> dict[str, str]:
    """What stands for the definitions in a stored document."""
    return {_WHOSE: algorithm.name}


def of(document: Document) -> list[dict[str, str]]:
    """Name and Regex of each."""
    found: Any = document["AlgorithmSpecification"][_MEMBER]
    return _definitions(found[_WHOSE]) if isinstance(found, dict) else found


def view(record: Record) -> Document:
    """The document as Describe shows it."""
    shown = resources.public(record)
    return {**shown, "AlgorithmSpecification": {**shown["AlgorithmSpecification"], _MEMBER: of(shown)}}


def written(text: str) -> str:
    """The same of a document that is JSON text, without the service's own members."""
    return _REFERENCE.sub(lambda found: _text(found[1]), text, count=1)


def _definitions(algorithm: str) -> list[dict[str, str]]:
    return [{"Name": each.name, "Regex": each.regex} for each in registry.spec(algorithm).metrics]


@functools.cache  # it changes with the program only
def _text(algorithm: str) -> str:
    return f'"{_MEMBER}":{body_json.dumps(_definitions(algorithm)).decode()}'
