"""RecordIO-protobuf: frames (magic, length, payload, padding to 4) that hold `Record` messages, read and written
without a protobuf library."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from clary.algorithms.errors import ClientError

_MAGIC = 0xCED7230A
_FRAME = struct.Struct("<II")
_TENSORS = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}  # field of Value -> type of its values


def read_labelled(files: Sequence[Path]) -> tuple[csr_matrix, np.ndarray]:
    """Features (CSR, float32; dense records keep their zeros) and labels of all records. Raises ClientError."""
    rows: list[tuple[np.ndarray, np.ndarray, int]] = []
    labels: list[float] = []
    for path in files:
        try:
            for payload in frames(path.read_bytes()):
                features, label = read_record(payload)
                rows.append(features)
                labels.append(math.nan if label is None else label)
        except (ValueError, struct.error) as problem:
            raise ClientError(
                f"Failed to load recordio-protobuf data with exception:\nfile {path.name}: {problem}"
            ) from None
    if any(math.isnan(label) for label in labels):
        raise ClientError("Got input data without labels. Please check the input data set.")
    return stack(rows, 0), np.array(labels, np.float32)


def stack(rows: Sequence[tuple[np.ndarray, np.ndarray, int]], columns: int) -> csr_matrix:
    """Rows of (indices, values, width) as one matrix, at least `columns` wide."""
    width = max((width for _, _, width in rows), default=0)
    pointers = np.cumsum([0] + [len(indices) for indices, _, _ in rows])
    indices = np.concatenate([indices for indices, _, _ in rows]) if rows else np.empty(0, np.int64)
    values = np.concatenate([values for _, values, _ in rows]) if rows else np.empty(0, np.float32)
    return csr_matrix((values.astype(np.float32), indices, pointers), shape=(len(rows), max(width, columns)))


def frames(data: bytes) -> Iterator[bytes]:
    """The payloads; parts of a split record are joined again with the magic word between them. Raises ValueError."""
    position, parts = 0, []
    while position < len(data):
        if position + 8 > len(data):
            raise ValueError("truncated frame at the end")
        magic, length = _FRAME.unpack_from(data, position)
        if magic != _MAGIC:
            raise ValueError("not RecordIO: wrong magic number")
        flag, length = length >> 29, length & 0x1FFFFFFF
        if position + 8 + length > len(data):
            raise ValueError("truncated frame at the end")
        parts.append(data[position + 8 : position + 8 + length])
        position += 8 + (length + 3) // 4 * 4
        if flag in (0, 3):
            yield _FRAME.pack(_MAGIC, 0)[:4].join(parts)
            parts = []
    if parts:
        raise ValueError("truncated record at the end")


def read_record(payload: bytes) -> tuple[tuple[np.ndarray, np.ndarray, int], float | None]:
    """((indices, values, width) of the features "values", the label or None)."""
    features: tuple[np.ndarray, np.ndarray, int] | None = None
    label: float | None = None
    for field, value in _fields(payload):
        if field in (1, 2) and isinstance(value, bytes):
            entry = dict(_fields(value))
            content = entry.get(2)
            if entry.get(1) != b"values" or not isinstance(content, bytes):
                continue
            tensor = _tensor(content)
            if field == 1:
                features = tensor
            elif len(tensor[1]):
                label = float(tensor[1][0])
    if features is None:
        raise ValueError('a record has no features "values"')
    return features, label


def write_records(rows: Sequence[Mapping[str, Sequence[float]]]) -> bytes:
    """One record per row, its label map holding float32 tensors by key."""
    out = bytearray()
    for row in rows:
        record = bytearray()
        for key, values in row.items():
            packed = struct.pack(f"<{len(values)}f", *values)
            tensor = _length_delimited(1, packed)
            value = _length_delimited(2, tensor)
            record += _length_delimited(2, _length_delimited(1, key.encode()) + _length_delimited(2, value))
        out += _FRAME.pack(_MAGIC, len(record)) + record + bytes(-len(record) % 4)
    return bytes(out)


def _tensor(value: bytes) -> tuple[np.ndarray, np.ndarray, int]:
    for field, body in _fields(value):
        if field in _TENSORS and isinstance(body, bytes):
            return _tensor_body(body, _TENSORS[field])
    raise ValueError("a value is no numeric tensor")


def _tensor_body(body: bytes, kind: np.dtype) -> tuple[np.ndarray, np.ndarray, int]:
    values: list[np.ndarray] = []
    keys: list[int] = []
    shape: list[int] = []
    for field, part in _fields(body):
        if field == 1:
            values.append(_numbers(part, kind))
        elif field in (2, 3):
            (keys if field == 2 else shape).extend(_varints(part) if isinstance(part, bytes) else [part])
    flat = np.concatenate(values) if values else np.empty(0, kind)
    if keys:
        if len(keys) != len(flat):
            raise ValueError("a sparse tensor has not as many keys as values")
        width = shape[-1] if shape else max(keys) + 1
        return np.array(keys, np.int64), flat, width
    return np.arange(len(flat)), flat, len(flat)


def _numbers(part: bytes | int, kind: np.dtype) -> np.ndarray:
    if kind == _TENSORS[7]:
        numbers = _varints(part) if isinstance(part, bytes) else [part]
        return np.array([n - (1 << 64) if n >> 63 else n for n in numbers], np.int64)
    if not isinstance(part, bytes) or len(part) % kind.itemsize:
        raise ValueError("a tensor is damaged")
    return np.frombuffer(part, kind)


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(field number, content) of a protobuf message: bytes, except for varints, which are int."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire = tag & 7
        if wire == 0:
            number, position = _varint(message, position)
            yield tag >> 3, number
            continue
        size = {1: 8, 5: 4}.get(wire)
        if size is None:
            if wire != 2:
                raise ValueError("not a protobuf message")
            size, position = _varint(message, position)
        if position + size > len(message):
            raise ValueError("truncated protobuf message")
        yield tag >> 3, message[position : position + size]
        position += size


def _varints(packed: bytes) -> list[int]:
    position, numbers = 0, []
    while position < len(packed):
        number, position = _varint(packed, position)
        numbers.append(number)
    return numbers


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("truncated protobuf message")
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position


def _length_delimited(field: int, content: bytes) -> bytes:
    length = len(content)
    out = bytearray([field << 3 | 2])
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + content
