"""REST paths: which operation of a service a method, a path and a query string mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from botocore.model import OperationModel, ServiceModel

from clary.errors import ServiceError
from clary.wire.messages import Headers

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
Query = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An operation among those of one method and path. `literals` are the query parameters its template states,
    `needed` the (place, name) of its required query parameters and headers."""

    operation: OperationModel
    literals: tuple[tuple[str, str], ...]
    needed: tuple[tuple[str, str], ...]

    def fits(self, query: Query) -> bool:
        return all(name in query and (not value or value in query[name]) for name, value in self.literals)

    def is_meant(self, query: Query) -> bool:
        """Of one whose template states nothing, its required query parameters say that it is meant: `POST /bucket/key`
        completes an upload only where it names one."""
        return bool(self.literals) or all(name in query for place, name in self.needed if place == "querystring")

    def rank(self, query: Query, headers: Headers) -> tuple[int, int, int, int]:
        """Bigger is better: more literals met, nothing required missing, more of it present, the same name."""
        present = sum(name in (query if place == "querystring" else headers) for place, name in self.needed)
        named = self.operation.name in query.get("x-id", ())
        return len(self.literals), int(present == len(self.needed)), present, int(named)


@dataclass(frozen=True, slots=True)
class _Group:
    """The operations of one method and path. `stated` are the names of the query parameters that some of them state;
    `bare` are those that state none."""

    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    candidates: list[_Candidate]
    stated: frozenset[str]
    bare: list[_Candidate]


class PathTable:
    """The operations of a REST service by method and path."""

    def __init__(self, service: ServiceModel) -> None:
        self._by_query = service.metadata["protocol"] == "rest-xml"  # S3's way to tell operations apart
        self._methods: dict[str, list[_Group]] = {}
        self._subresources: set[str] = set()
        by_template: dict[tuple[str, str], list[_Candidate]] = {}
        for name in service.operation_names:
            operation = service.operation_model(name)
            path, _, literals = operation.http["requestUri"].partition("?")
            candidate = _candidate(operation, literals)
            by_template.setdefault((operation.http["method"], path), []).append(candidate)
            self._subresources.update(name for name, value in candidate.literals if not value)
        for (method, path), candidates in sorted(by_template.items(), key=lambda item: _specificity(item[0][1])):
            # A deprecated operation shares its path with the one that replaced it and must lose every draw.
            candidates.sort(key=lambda each: each.operation.deprecated)
            labels = tuple(label[1] for label in _LABEL.finditer(path))
            stated = frozenset(name for each in candidates for name, _ in each.literals)
            bare = [each for each in candidates if not each.literals]
            self._methods.setdefault(method, []).append(_Group(_pattern(path), labels, candidates, stated, bare))

    def find(self, method: str, path: str, query: Query, headers: Headers) -> tuple[OperationModel, dict[str, str]]:
        """The operation and its decoded labels. Raises LookupError when there is none, ServiceError("InvalidURI")."""
        for group in self._methods.get(method, ()):
            found = group.pattern.fullmatch(path)
            if not found:
                continue
            unstated = group.stated.isdisjoint(query)
            fitting = group.bare if unstated else [each for each in group.candidates if each.fits(query)]
            if fitting:
                best = max(fitting, key=lambda each: each.rank(query, headers)) if len(fitting) > 1 else fitting[0]
                self._refuse_unmeant(best, query)
                if self._by_query and not best.is_meant(query):
                    break
                labels = zip(group.labels, found.groups(), strict=True)
                return best.operation, {name: _decode(text) for name, text in labels}
        raise LookupError(path)

    def _refuse_unmeant(self, best: _Candidate, query: Query) -> None:
        """`DELETE /bucket/key?acl` must not delete the key: a subresource is part of what is addressed."""
        if not self._subresources.isdisjoint(query):
            stated = {name for name, _ in best.literals}
            if any(name in self._subresources and name not in stated and query[name] == [""] for name in query):
                raise LookupError("subresource")


def _candidate(operation: OperationModel, literals: str) -> _Candidate:
    pairs = (part.partition("=") for part in literals.split("&") if part)
    shape = operation.input_shape
    members = shape.members if shape else {}
    needed = []
    for name in shape.required_members if shape else ():
        traits = members[name].serialization
        if traits.get("location") in ("querystring", "header"):
            needed.append((traits["location"], traits.get("name", name)))
    stated = tuple((name, value) for name, _, value in pairs if name != "x-id")
    return _Candidate(operation, stated, tuple(needed))


def _specificity(path: str) -> tuple[int, int, int]:
    """Literal segments beat labels, labels beat greedy labels, from the longest."""
    segments = path.split("/")
    greedy = "+}" in path
    return int(greedy), -len(segments), sum("{" in segment for segment in segments)


def _pattern(path: str) -> re.Pattern[str]:
    text, at = "", 0
    for label in _LABEL.finditer(path):
        text += re.escape(path[at : label.start()]) + ("(.+)" if label[2] else "([^/]+)")
        at = label.end()
    text += re.escape(path[at:].rstrip("/"))
    return re.compile(text + ("" if path.endswith("+}") else "/?"), re.DOTALL)


def _decode(text: str) -> str:
    if "%" not in text and text.isascii():
        return text
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise ServiceError("InvalidURI", "Couldn't parse the specified URI.") from None
