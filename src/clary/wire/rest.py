"""Where the parameters of a REST operation are: labels, query string, headers, status code, body; both directions."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from clary.wire import scalars
from clary.wire.messages import Headers
from clary.wire.scalars import Malformed, MalformedArgument

Text = Callable[[str], Any]
_QUOTED_ITEM = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_DAY_NAME = re.compile(r"[A-Za-z]{3}")


@dataclass(frozen=True, slots=True)
class Bound:
    """One member bound to a place by name. `many` for lists; `text` converts one value."""

    member: str
    name: str
    text: Text
    many: bool = False
    dates: bool = False

    def value(self, text: str) -> Any:
        """Raises MalformedArgument."""
        try:
            return self.text(text)
        except Malformed as error:
            raise MalformedArgument(str(error), self.name, text) from None


@dataclass(slots=True)
class RequestPlan:
    """How the input of one operation is read from a request's head; `body` names what is left for the codec."""

    labels: list[Bound] = field(default_factory=list)
    query: list[Bound] = field(default_factory=list)
    query_maps: list[tuple[str, bool]] = field(default_factory=list)
    headers: list[Bound] = field(default_factory=list)
    prefixes: list[tuple[str, str]] = field(default_factory=list)
    payload: str = ""
    body: bool = False
    queried: frozenset[str] = frozenset()  # the names in `query`
    sent: frozenset[str] = frozenset()  # the names in `headers`, lower-cased

    def read(self, labels: Mapping[str, str], query: Mapping[str, list[str]], headers: Headers) -> dict[str, Any]:
        """The parameters in the head. Raises MalformedArgument."""
        values: dict[str, Any] = {each.member: each.value(labels[each.name]) for each in self.labels}
        for each in () if self.queried.isdisjoint(query) else self.query:
            if (texts := query.get(each.name)) is not None:
                values[each.member] = [each.value(text) for text in texts] if each.many else each.value(texts[0])
        for member, many in self.query_maps:
            found = self._query_map(query, many)
            if found:
                values[member] = found
        for each in () if self.sent.isdisjoint(headers.by_name) else self.headers:
            if (header := headers.get(each.name)) is not None:
                values[each.member] = _header(each, headers.all(each.name) if each.many else [header])
        for member, prefix in self.prefixes:
            prefixed = _prefixed(headers, prefix)
            if prefixed:
                values[member] = prefixed
        return values

    def _query_map(self, query: Mapping[str, list[str]], many: bool) -> dict[str, Any]:
        """A map of lists takes every parameter, a map of single values what no other member takes."""
        if many:
            return {name: list(texts) for name, texts in query.items()}
        taken = {each.name for each in self.query}
        return {name: texts[0] for name, texts in query.items() if name not in taken}


def _header(bound: Bound, texts: list[str]) -> Any:
    if not bound.many:
        return bound.value(_utf8(texts[0]))
    split = _split_dates if bound.dates else _split
    return [bound.value(part) for text in texts for part in split(_utf8(text))]


def _utf8(text: str) -> str:
    """Header values come as latin-1; clients write UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _split(text: str) -> list[str]:
    """At its commas, those within quotes excepted; in time proportional to its length, whatever it holds."""
    parts, at = [], 0
    while at < len(text):
        if quoted := _QUOTED_ITEM.match(text, at):
            parts.append(re.sub(r"\\(.)", r"\1", quoted[1]))
            at = quoted.end()
            continue
        comma = text.find(",", at)
        end = comma if comma >= 0 else len(text)
        parts.append(text[at:end].strip())
        at = end + 1
    return parts


def _split_dates(text: str) -> list[str]:
    """At its commas, but for the one after the name of a day."""
    parts: list[str] = []
    for piece in text.split(","):
        date = piece.strip()
        if date and parts and piece.startswith(" ") and _DAY_NAME.fullmatch(parts[-1]):
            parts[-1] += f", {date}"
        elif date:
            parts.append(date)
    return parts


def _prefixed(headers: Headers, prefix: str) -> dict[str, str]:
    start = prefix.lower()
    found: dict[str, str] = {}
    for name, value in headers.pairs:
        if name.lower().startswith(start):
            key = name[len(start) :]
            found[key] = f"{found[key]},{_utf8(value)}" if key in found else _utf8(value)
    return found


def request_plan(shape: StructureShape | None) -> RequestPlan:
    """For an operation's input shape."""
    plan = RequestPlan()
    if shape is None:
        return plan
    plan.payload = shape.serialization.get("payload", "")
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = member.serialization.get("name", name)
        match location:
            case "uri":
                plan.labels.append(_bound(name, wire, member))
            case "querystring" if isinstance(member, MapShape):
                plan.query_maps.append((name, isinstance(member.value, ListShape)))
            case "querystring":
                plan.query.append(_bound(name, wire, member))
            case "header":
                plan.headers.append(_bound(name, wire, member))
            case "headers":
                plan.prefixes.append((name, member.serialization.get("name", "")))
            case _:
                plan.body = plan.body or not plan.payload
    plan.queried = frozenset(each.name for each in plan.query)
    plan.sent = frozenset(each.name.lower() for each in plan.headers)
    return plan


def _bound(member: str, wire: str, shape: Shape) -> Bound:
    many = isinstance(shape, ListShape)
    item = shape.member if isinstance(shape, ListShape) else shape
    text = _encoded_header if item.serialization.get("jsonvalue") else scalars.text_reader(item)
    dates = item.type_name == "timestamp" and item.serialization.get("timestampFormat", "rfc822") == "rfc822"
    return Bound(member, wire, text, many, dates)


def _encoded_header(text: str) -> str:
    try:
        return scalars.read_blob(text).decode()
    except UnicodeDecodeError:
        raise Malformed("A header holds base64 of what is not UTF-8") from None


@dataclass(slots=True)
class ResponsePlan:
    """Where the members of one output go: headers, the status code, the payload or the codec's document."""

    headers: list[tuple[str, str, Callable[[Any], str]]] = field(default_factory=list)
    prefixes: list[tuple[str, str]] = field(default_factory=list)
    status: str = ""
    payload: str = ""
    body: bool = False

    def head(self, result: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The headers that the result asks for."""
        headers = []
        for member, name, text in self.headers:
            value = result.get(member)
            if value is not None:
                headers.append((name, _one_line(text(value))))
        for member, prefix in self.prefixes:
            for name, value in (result.get(member) or {}).items():
                headers.append((prefix + name, _one_line(str(value))))
        return headers


def _one_line(text: str) -> str:
    """A header value as it may go out: UTF-8 bytes read as latin-1, nothing that could end the line."""
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError("a header value holds a line break")
    return text if text.isascii() else text.encode().decode("latin-1")


def response_plan(shape: StructureShape | None) -> ResponsePlan:
    """For an operation's output shape, or an error's."""
    plan = ResponsePlan()
    if shape is None:
        return plan
    plan.payload = shape.serialization.get("payload", "")
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "header":
                plan.headers.append((name, wire, _header_writer(member)))
            case "headers":
                plan.prefixes.append((name, member.serialization.get("name", "")))
            case "statusCode":
                plan.status = name
            case _:
                plan.body = plan.body or not plan.payload
    return plan


def _header_writer(shape: Shape) -> Callable[[Any], str]:
    if shape.serialization.get("jsonvalue"):
        return _write_json_header
    if not isinstance(shape, ListShape):
        return scalars.text_writer(shape, "rfc822")
    item = scalars.text_writer(shape.member, "rfc822")
    quoted = shape.member.type_name == "string"
    return lambda value: ", ".join(_quote(item(each)) if quoted else item(each) for each in value)


def _quote(text: str) -> str:
    if "," not in text and '"' not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_json_header(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode("ascii")
