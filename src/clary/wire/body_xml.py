"""XML documents <-> parameters: bodies of rest-xml, answers of query. Shapes are compiled once into functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from botocore.model import ListShape, MapShape, Shape, StructureShape

from clary.wire import scalars
from clary.wire.body_json import IN_HEAD, shape_key
from clary.wire.scalars import Malformed

Reader = Callable[[Element], Any]
Writer = Callable[[list[str], Any], None]  # (pieces, value)

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_UNWRITABLE = "\ud800-\udfff\ufffe\uffff"  # no document holds these, not even as references
_ILLEGIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SPECIAL = re.compile(f"[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\x85\u2028{_UNWRITABLE}]")
_SPECIAL_ATTRIBUTE = re.compile(f'[&<>"\r\n\t\x00-\x08\x0b\x0c\x0e-\x1f{_UNWRITABLE}]')
_SAFE = ("timestamp", "boolean")  # types whose texts hold nothing that is special
_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Text as XML has it. Control characters become references, as S3 writes them; characters that XML has no way to
    write, and halves of surrogate pairs, become U+FFFD, so that the rest can be read."""
    if text.isprintable() and "&" not in text and "<" not in text and ">" not in text:
        return text  # most are so, and this is seen sooner than the expression sees it
    return _SPECIAL.sub(_reference, text)


def legible(text: str) -> str:
    """As `escape`, for what every parser has to read: references to most control characters are no XML 1.0, so these
    become U+FFFD too. An error that quotes a key with one of them keeps its code."""
    return escape(_ILLEGIBLE.sub("\ufffd", text))


def _reference(found: re.Match[str]) -> str:
    if found[0] >= "\ud800":
        return "\ufffd"
    return _NAMES.get(found[0]) or f"&#x{ord(found[0]):X};"


class _NoDoctype(TreeBuilder):
    """Refuses document types, and with them entities that grow."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise Malformed("A document type is not allowed")


def loads(data: bytes) -> Element:
    """The root element, namespaces taken off every tag and attribute name. Raises Malformed."""
    parser = XMLParser(target=_NoDoctype())
    try:
        parser.feed(data)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise Malformed("The XML you provided was not well-formed") from error
    for element in root.iter():
        element.tag = local_name(element.tag)
    return root


def local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


class XmlCodec:
    """Readers and writers of shapes, compiled on first use. Not safe to compile from two threads at once."""

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str], Reader] = {}
        self._writers: dict[tuple[tuple[str, str], str], Writer] = {}

    def reader(self, shape: Shape) -> Reader:
        """Element -> parameter; raises Malformed. For a flattened list or map the element is its parent's copy that
        holds the entries alone."""
        key = shape_key(shape)
        if key not in self._readers:
            self._readers[key] = self._compile_reader(shape)
        return self._readers[key]

    def writer(self, shape: Shape, tag: str) -> Writer:
        """Writes a result under a tag, which may have attributes: `writer(pieces, value)`."""
        key = shape_key(shape), tag
        if key not in self._writers:
            self._writers[key] = self._compile_writer(shape, tag)
        return self._writers[key]

    # Composite shapes enter themselves before their members are compiled: shapes may contain themselves.

    def _compile_reader(self, shape: Shape) -> Reader:
        if isinstance(shape, StructureShape):
            return self._structure_reader(shape)
        if isinstance(shape, ListShape):
            return self._list_reader(shape)
        return self._map_reader(shape) if isinstance(shape, MapShape) else _scalar_reader(shape)

    def _compile_writer(self, shape: Shape, tag: str) -> Writer:
        if isinstance(shape, StructureShape):
            return self._structure_writer(shape, tag)
        if isinstance(shape, ListShape):
            return self._list_writer(shape, tag)
        return self._map_writer(shape, tag) if isinstance(shape, MapShape) else _scalar_writer(shape, tag)

    def _structure_reader(self, shape: StructureShape) -> Reader:
        single: dict[str, tuple[str, Reader]] = {}
        flattened: dict[str, tuple[str, Reader]] = {}
        attributes: dict[str, tuple[str, Callable[[str], Any]]] = {}

        def read(element: Element) -> Any:
            value: dict[str, Any] = {}
            together: dict[str, Element] = {}
            for child in element:
                if child.tag in single:
                    name, convert = single[child.tag]
                    value[name] = convert(child)
                elif child.tag in flattened:
                    together.setdefault(flattened[child.tag][0], Element(child.tag)).append(child)
            for group in together.values():
                name, convert = flattened[group.tag]
                value[name] = convert(group)
            for attribute, text in element.attrib.items():
                if (known := attributes.get(local_name(attribute))) is not None:
                    value[known[0]] = known[1](text)
            return value

        self._readers[shape_key(shape)] = read
        for name, member in shape.members.items():
            if member.serialization.get("location") in IN_HEAD[True]:
                continue
            tag = member.serialization.get("name", name)
            if member.serialization.get("xmlAttribute"):
                attributes[tag.rpartition(":")[2]] = (name, scalars.text_reader(member))
            elif member.serialization.get("flattened"):
                for each in {tag, flattened_tag(tag, member)}:
                    flattened[each] = (name, self.reader(member))
            else:
                single[tag] = (name, self.reader(member))
                # A name that the member's own shape has for its documents may hide the member's.
                single.setdefault(name, single[tag])
        return read

    def _list_reader(self, shape: ListShape) -> Reader:
        made: list[Reader] = []

        def read(element: Element) -> Any:
            return [made[0](child) for child in element]

        self._readers[shape_key(shape)] = read
        made.append(self.reader(shape.member))
        return read

    def _map_reader(self, shape: MapShape) -> Reader:
        key_tag, value_tag = map_tags(shape)
        made: list[Reader] = []

        def read(element: Element) -> Any:
            value = {}
            for entry in element:
                key, item = entry.find(key_tag), entry.find(value_tag)
                if key is None or item is None:
                    raise Malformed("An entry of a map lacks its key or its value")
                value[key.text or ""] = made[0](item)
            return value

        self._readers[shape_key(shape)] = read
        made.append(self.reader(shape.value))
        return read

    def _structure_writer(self, shape: StructureShape, tag: str) -> Writer:
        members: list[tuple[str, Writer]] = []
        attributes: list[tuple[str, str, Callable[[Any], str]]] = []
        plain, end = f"<{tag}>", _closing(tag)

        def write(pieces: list[str], value: Any) -> None:
            pieces.append(f"<{tag}{_attributes(attributes, value)}>" if attributes else plain)
            for name, convert in members:
                item = value.get(name)
                if item is not None:
                    convert(pieces, item)
            pieces.append(end)

        self._writers[shape_key(shape), tag] = write
        for name, member in shape.members.items():
            traits = member.serialization
            inner = traits.get("name", name)
            if traits.get("xmlAttribute"):
                attributes.append((name, inner, scalars.text_writer(member, "iso8601")))
            elif traits.get("location") not in IN_HEAD[False]:
                if traits.get("flattened"):
                    inner = flattened_tag(inner, member)
                members.append((name, self.writer(member, inner + namespace(member))))
        return write

    def _list_writer(self, shape: ListShape, tag: str) -> Writer:
        flat = bool(shape.serialization.get("flattened"))
        inner = shape.member.serialization.get("name", "member") + namespace(shape.member)
        begin, end = ("", "") if flat else (f"<{tag}>", _closing(tag))
        made: list[Writer] = []

        def write(pieces: list[str], value: Any) -> None:
            pieces.append(begin)
            convert = made[0]
            for item in value:
                convert(pieces, "" if item is None else item)
            pieces.append(end)

        self._writers[shape_key(shape), tag] = write
        made.append(self.writer(shape.member, tag if flat else inner))
        return write

    def _map_writer(self, shape: MapShape, tag: str) -> Writer:
        flat = bool(shape.serialization.get("flattened"))
        key_tag, value_tag = map_tags(shape)
        begin, end = ("", "") if flat else (f"<{tag}>", _closing(tag))
        opened, closed = (f"<{tag}>", _closing(tag)) if flat else ("<entry>", "</entry>")
        made: list[Writer] = []

        def write(pieces: list[str], value: Any) -> None:
            pieces.append(begin)
            for key, item in value.items():
                pieces.append(f"{opened}<{key_tag}>{escape(str(key))}</{key_tag}>")
                made[0](pieces, "" if item is None else item)
                pieces.append(closed)
            pieces.append(end)

        self._writers[shape_key(shape), tag] = write
        made.append(self.writer(shape.value, value_tag))
        return write


def _closing(tag: str) -> str:
    return f"</{tag.partition(' ')[0]}>"


def _attributes(attributes: Iterable[tuple[str, str, Callable[[Any], str]]], value: Any) -> str:
    """Of (member, attribute, how it is written), those that `value` has."""
    return "".join(
        f' {attribute}="{_SPECIAL_ATTRIBUTE.sub(_reference, text(value[name]))}"'
        for name, attribute, text in attributes
        if value.get(name) is not None
    )


def flattened_tag(tag: str, member: Shape) -> str:
    """A flattened list's entries may be named by the list's member."""
    if isinstance(member, ListShape):
        return str(member.member.serialization.get("name", tag))
    return tag


def map_tags(shape: MapShape) -> tuple[str, str]:
    return shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")


def namespace(shape: Shape) -> str:
    """The attribute that declares the shape's XML namespace, with a blank before it; empty where it has none."""
    given = shape.serialization.get("xmlNamespace")
    if not given:
        return ""
    if isinstance(given, str):
        return f' xmlns="{escape(given)}"'
    prefix = f":{given['prefix']}" if given.get("prefix") else ""
    return f' xmlns{prefix}="{escape(given["uri"])}"'


def _scalar_reader(shape: Shape) -> Reader:
    convert = scalars.text_reader(shape)
    return lambda element: convert(element.text or "")


def _scalar_writer(shape: Shape, tag: str) -> Writer:
    text, begin, end = scalars.text_writer(shape, "iso8601"), f"<{tag}>", _closing(tag)

    def write(pieces: list[str], value: Any) -> None:
        pieces.append(f"{begin}{escape(text(value))}{end}")

    def write_safe(pieces: list[str], value: Any) -> None:
        pieces.append(f"{begin}{text(value)}{end}")

    return write_safe if shape.type_name in _SAFE else write
