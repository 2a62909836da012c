"""The page of built-in algorithms, from their declarations."""

from __future__ import annotations

import math
from collections.abc import Iterator

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec
from clary.algorithms.hyperparameters import Hyperparameter, Interval
from clary.reference.markdown import code, codes, folded, table

_INTRODUCTION = """# Built-in algorithms

What the image URIs of AWS mean is on the page [Images](images.md).

"""


def page() -> str:
    parts = [_INTRODUCTION]
    for spec in registry.specs():
        parts.extend(_algorithm(spec))
    return "\n".join(parts)


def _algorithm(spec: AlgorithmSpec) -> Iterator[str]:
    yield f"## {spec.name}\n"
    yield table(("repository", "tags"), [(code(each.name), codes(each.tags)) for each in spec.repositories])
    instances = "one or more instances" if spec.many_instances else "one instance; more are refused"
    yield f"Runs on {instances}. The model is `model.tar.gz` with `{spec.model_file}` in it.\n"
    yield "### Channels\n"
    rows = [(code(each.name), "yes" if each.required else "no", codes(each.content_types)) for each in spec.channels]
    yield table(("channel", "required", "content types"), rows)
    yield f"Without a content type a channel is taken as {code(spec.default_content_type)}. Pipe mode is refused.\n"
    yield f"### Answers of an endpoint\n\nBy the request's Accept: {codes(spec.accepts)}.\n"
    if spec.variables:
        yield "### Variables of a model's Environment\n"
        yield table(("variable", "what it does"), [(code(each.name), each.about) for each in spec.variables])
    yield "### Hyperparameters\n"
    declared = [_hyperparameter(each) for each in spec.hyperparameters.declared.values()]
    yield table(("name", "kind", "allowed", "for tuning"), declared)
    yield "### Metrics\n"
    rows = [(code(each.name), "up" if each.maximize else "down", code(each.regex)) for each in spec.metrics]
    metrics = table(("metric", "better", "found in the log by"), rows)
    yield folded(f"{len(spec.metrics)} metrics, by which AWS reads them from the log", metrics)


def _hyperparameter(each: Hyperparameter) -> tuple[str, str, str, str]:
    name = code(each.name) + "".join(f" (also {code(alias)})" for alias in each.aliases)
    return (
        name + (" **required**" if each.required else ""),
        each.kind,
        _range(each.allowed),
        "" if each.tunable is None else _range(each.tunable),
    )


def _range(allowed: object) -> str:
    match allowed:
        case Interval() if math.isinf(allowed.low) and math.isinf(allowed.high):
            return "any number"
        case Interval():
            return code(allowed)
        case tuple():
            return codes(allowed)
        case None:
            return "any text"
        case _:
            return "see the errors: each name is checked"
