"""Random values of a shape, from a seed: what a client may send and an operation may return."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_BODY_LETTERS = _LETTERS + " -_./:=&<>'\"äß日😀"


class Values:
    """`of` makes one value; required members are always there, others half of the time, nothing below `depth`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, shape: Shape, depth: int = 5, plain: bool = False) -> Any:
        """`plain` text is safe in a header or a label."""
        if isinstance(shape, StructureShape):
            return self._structure(shape, depth)
        if isinstance(shape, ListShape):
            least = max(1, int(shape.metadata.get("min") or 1))
            return [
                self.of(shape.member, depth - 1, plain) for _ in range(min(8, self.random.randint(least, least + 2)))
            ]
        if isinstance(shape, MapShape):
            return {f"k{at}": self.of(shape.value, depth - 1, plain) for at in range(self.random.randint(1, 3))}
        return self._scalar(shape, plain)

    def _structure(self, shape: StructureShape, depth: int) -> dict[str, Any]:
        if shape.metadata.get("document"):
            return {"any": [1, "x", {"deep": None}]}
        wanted = [
            name
            for name in shape.members
            if name in shape.required_members or (depth > 0 and self.random.random() < 0.5)
        ]
        if shape.metadata.get("union"):
            wanted = [self.random.choice(list(shape.members))] if depth > 0 else []
        if depth < -3:
            return {}
        return {
            name: self.of(shape.members[name], depth - 1, "location" in shape.members[name].serialization)
            for name in wanted
            if not shape.members[name].serialization.get("eventstream")
        }

    def _scalar(self, shape: Shape, plain: bool) -> Any:
        match shape.type_name:
            case "integer" | "long":
                return self.random.randint(int(shape.metadata.get("min") or 0), int(shape.metadata.get("max") or 1000))
            case "float" | "double":
                return self.random.randint(0, 4000) / 8
            case "boolean":
                return self.random.random() < 0.5
            case "timestamp":
                return datetime.fromtimestamp(self.random.randint(10**9, 2 * 10**9), UTC)
            case "blob":
                return self.random.randbytes(self.random.randint(1, 20))
        return self._text(shape, plain)

    def _text(self, shape: Shape, plain: bool) -> str:
        if shape.metadata.get("enum"):
            return str(self.random.choice(shape.metadata["enum"]))
        letters = _LETTERS if plain else _BODY_LETTERS
        size = max(1, min(64, int(shape.metadata.get("min") or 1)))
        return "x" + "".join(self.random.choices(letters, k=size + 3)) + "x"
