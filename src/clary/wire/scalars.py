"""Single values as text and back: numbers, booleans, blobs and the three forms of a timestamp."""

from __future__ import annotations

import base64
import binascii
import functools
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.model import Shape

# Which integers a shape of that type holds.
INTEGER_BOUNDS = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
}
_SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Malformed(ValueError):
    """The bytes do not hold a value of the shape; each protocol has its own error for it."""


class MalformedArgument(Malformed):
    """The same of one value in a request's head: `name` is the query parameter's or the header's."""

    def __init__(self, message: str, name: str, value: str) -> None:
        super().__init__(message)
        self.name = name
        self.value = value


def read_integer(text: str, kind: str = "integer") -> int:
    if not _INTEGER.fullmatch(text):
        raise Malformed(f"STRING_VALUE can not be converted to {_java(kind)}")
    return bounded(int(text), kind)


def bounded(number: int, kind: str) -> int:
    low, high = INTEGER_BOUNDS[kind]
    if not low <= number <= high:
        raise Malformed(f"Numeric value ({number if abs(number) < 2**80 else '...'}) out of range of {_java(kind)}")
    return number


def read_float(text: str) -> float:
    if text in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[text]
    if len(text) > 400 or not _FLOAT.fullmatch(text):
        raise Malformed("STRING_VALUE can not be converted to a Double")
    return float(text)


def read_boolean(text: str) -> bool:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise Malformed("STRING_VALUE can not be converted to a Boolean")


def read_blob(text: str) -> bytes:
    """Base64 with padding; white space between is allowed, other characters are not."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("STRING_VALUE can not be converted to a Blob: it is not valid base64") from None


def read_timestamp(value: str | float) -> datetime:
    """Aware, in UTC, from any of the forms that AWS's clients write."""
    try:
        if isinstance(value, (int, float)):
            return _EPOCH + timedelta(seconds=value)
        if _ISO.fullmatch(value):
            moment = datetime.fromisoformat(_fraction_to_microseconds(value))
        elif _FLOAT.fullmatch(value) and len(value) < 40:
            return _EPOCH + timedelta(seconds=float(value))
        else:
            moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        raise Malformed("The value can not be converted to a Timestamp") from None


def _fraction_to_microseconds(text: str) -> str:
    return re.sub(r"\.(\d+)", lambda found: "." + found[1][:6].ljust(6, "0"), text.upper())


def seconds(value: Any) -> float:
    """A timestamp of a result (datetime, epoch seconds or text) as epoch seconds."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        value = read_timestamp(value)
    moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.timestamp()


def write_epoch(value: Any) -> int | float:
    """Epoch seconds as JSON has them: whole, or with milliseconds."""
    number = round(value if type(value) is float else seconds(value), 3)
    whole = int(number)
    return whole if number == whole else number


def write_timestamp(value: Any, form: str) -> str:
    """`form` is unixTimestamp, iso8601 or rfc822."""
    if form == "unixTimestamp":
        return str(write_epoch(value))
    if form == "rfc822":
        return _http_date(math.floor(round(seconds(value), 3)))
    number = round(seconds(value), 3)
    whole = math.floor(number)
    milliseconds = round((number - whole) * 1000)
    return f"{_iso_second(whole)}.{milliseconds:03}Z" if milliseconds else f"{_iso_second(whole)}Z"


@functools.lru_cache(maxsize=4096)  # as `_http_date`
def _iso_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


@functools.lru_cache(maxsize=4096)  # pure, so never stale: what is read often was changed at the same few times
def _http_date(second: int) -> str:
    moment = datetime.fromtimestamp(second, UTC)
    month, day = _MONTHS[moment.month - 1], _DAYS[moment.weekday()]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def write_float(value: Any) -> str:
    number = float(value)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return repr(value) if isinstance(value, int) else repr(number)


def write_blob(value: Any) -> str:
    data = value.encode() if isinstance(value, str) else value
    return base64.b64encode(data).decode("ascii")


def text_reader(shape: Shape) -> Callable[[str], Any]:
    """Text of XML, a form, a header, a label or a query string -> value of a scalar shape. Raises Malformed."""
    kind = shape.type_name
    if kind in INTEGER_BOUNDS:
        return lambda text: read_integer(text.strip(), kind)
    plain: dict[str, Callable[[str], Any]] = {
        "float": lambda text: read_float(text.strip()),
        "double": lambda text: read_float(text.strip()),
        "boolean": lambda text: read_boolean(text.strip()),
        "blob": read_blob,
        "timestamp": lambda text: read_timestamp(text.strip()),
    }
    return plain.get(kind, _same)


def text_writer(shape: Shape, timestamps: str) -> Callable[[Any], str]:
    """The way back; `timestamps` is the form where the shape names none."""
    kind = shape.type_name
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", timestamps)
        return lambda value: write_timestamp(value, form)
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    plain: dict[str, Callable[[Any], str]] = {"float": write_float, "double": write_float, "blob": write_blob}
    return plain.get(kind, str)


def _same(text: str) -> str:
    return text


def _java(kind: str) -> str:
    return "a Long" if kind == "long" else "an Integer"
