"""A training job's metric definitions. A built-in algorithm's are shown by every job of it, and no job of it has its
own; those of a script are the request's.

An algorithm's are three quarters of what Describe answers, so a stored document only says whose they are; they are put
in where it is told. A document of an earlier release has them itself.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from clary.algorithms import registry
from clary.contract.instance import Image
from clary.errors import validation
from clary.services import resources
from clary.services.operation import Document
from clary.store.records import Record
from clary.wire import body_json

_MEMBER, _WHOSE = "MetricDefinitions", "Algorithm"
# As documents are written. A request's own texts cannot look like it: within one a quote has a backslash before it.
_REFERENCE = re.compile(rf'"{_MEMBER}": ?{{"{_WHOSE}": ?"([a-z0-9-]+)"}}')


def stored(specification: Document, image: Image) -> Document:
    """The member of a stored document. Raises ValidationException."""
    given = specification.get(_MEMBER)
    if image.kind == "builtin":
        if given:
            raise validation(
                "You can't override the metric definitions for Amazon SageMaker algorithms. "
                "Please retry your request without specifying metric definitions."
            )
        return {_MEMBER: {_WHOSE: image.algorithm}}
    for each in given or ():
        try:
            re.compile(each["Regex"])
        except (re.error, RecursionError, OverflowError) as error:
            raise validation(f"The Regex of metric {each['Name']} is no regular expression: {error}.") from error
    return {_MEMBER: given} if given else {}


def of(document: Document) -> list[dict[str, str]]:
    """Name and Regex of each."""
    found: Any = document["AlgorithmSpecification"].get(_MEMBER, [])
    return _definitions(found[_WHOSE]) if isinstance(found, dict) else found


def view(record: Record) -> Document:
    """The document as Describe shows it."""
    shown = resources.public(record)
    specification = shown["AlgorithmSpecification"]
    return (
        {**shown, "AlgorithmSpecification": {**specification, _MEMBER: of(shown)}}
        if _MEMBER in specification
        else shown
    )


def written(text: str) -> str:
    """The same of a document that is JSON text, without the service's own members."""
    return _REFERENCE.sub(lambda found: _text(found[1]), text, count=1)


def _definitions(algorithm: str) -> list[dict[str, str]]:
    return [{"Name": each.name, "Regex": each.regex} for each in registry.spec(algorithm).metrics]


@functools.cache  # it changes with the program only
def _text(algorithm: str) -> str:
    return f'"{_MEMBER}":{body_json.dumps(_definitions(algorithm)).decode()}'
