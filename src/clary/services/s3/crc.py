"""CRC-32C and CRC-64/NVME, and the CRC of two texts joined from the CRCs of each.

All are of the reflected kind with all ones before and after (CRC-32 too, which zlib computes). Much data goes in lanes:
the CRCs of many stretches of it are moved on side by side, a byte of each at a time, by operations that the interpreter
does in C over all lanes at once. What is left goes a machine word at a time.
"""

from __future__ import annotations

import operator
import sys
from array import array
from functools import cache, lru_cache, reduce

_LANE = 256  # bytes of a stretch
_FEWEST = 32  # lanes that are worth it


class Crc:
    """A running CRC of `width` 32 or 64 bits; `polynomial` is in reflected notation."""

    def __init__(self, width: int, polynomial: int) -> None:
        self._width = width
        self._polynomial = polynomial
        self._state = (1 << width) - 1
        self._rest = b""

    def update(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        lanes = len(data) // _LANE
        if lanes >= _FEWEST:
            self._state = _lanes(self._state, data, lanes, self._polynomial, self._width)
            data = data[lanes * _LANE :]
        whole = len(data) - len(data) % (self._width // 8)
        self._rest = data[whole:]
        words = array("I" if self._width == 32 else "Q")
        words.frombytes(memoryview(data)[:whole])
        if sys.byteorder == "big":
            words.byteswap()
        self._state = (_words32 if self._width == 32 else _words64)(self._state, words, self._polynomial)

    def digest(self) -> bytes:
        state = self._state
        for byte in self._rest:
            state = _bytewise(self._polynomial)[(state ^ byte) & 0xFF] ^ (state >> 8)
        return (state ^ ((1 << self._width) - 1)).to_bytes(self._width // 8, "big")


CRC32 = 0xEDB88320
CRC32C = 0x82F63B78
CRC64NVME = 0x9A6C9329AC4BC9B5


def join(first: bytes, second: bytes, second_length: int, polynomial: int) -> bytes:
    """The CRC of A+B from the CRCs of A and of B and the number of bytes in B."""
    width = len(first) * 8
    shifted = _multiply(_shift(second_length, polynomial, width), int.from_bytes(first, "big"), polynomial, width)
    return (shifted ^ int.from_bytes(second, "big")).to_bytes(width // 8, "big")


def _lanes(state: int, data: bytes, count: int, polynomial: int, width: int) -> int:
    """`state` after the first `count` lanes of `data`. Number k of `planes` holds byte k of every lane's own state, as
    one large number with a byte for each lane; the first lane goes on from `state`, the others from nothing."""
    planes = [state >> at & 0xFF for at in range(0, width, 8)]
    steps = _planewise(polynomial, width)
    for column in range(_LANE):
        into = planes[0] ^ int.from_bytes(data[column : count * _LANE : _LANE], "little")
        index = into.to_bytes(count, "little")
        planes.append(0)
        planes = [planes[at + 1] ^ int.from_bytes(index.translate(step), "little") for at, step in enumerate(steps)]
    states = bytearray(count * width // 8)
    for at, plane in enumerate(planes):
        states[at :: width // 8] = plane.to_bytes(count, "little")
    return _joined(states, polynomial, width)


def _joined(states: bytearray, polynomial: int, width: int) -> int:
    """Of lanes one behind the other, from the state of each."""
    tables = _lanewise(polynomial, width)
    words = array("I" if width == 32 else "Q", bytes(states))
    if sys.byteorder == "big":
        words.byteswap()
    whole = 0
    for word in words:
        moved = word
        for table in tables:
            moved ^= table[whole & 0xFF]
            whole >>= 8
        whole = moved
    return whole


@cache
def _planewise(polynomial: int, width: int) -> list[bytes]:
    """`_bytewise`, byte by byte of its values, the lowest first: for bytes.translate."""
    return [bytes(value >> at & 0xFF for value in _bytewise(polynomial)) for at in range(0, width, 8)]


@cache
def _lanewise(polynomial: int, width: int) -> list[list[int]]:
    """What each byte of a state, the lowest first, becomes when a lane of zeros follows."""
    shift = _shift(_LANE, polynomial, width)
    bits = [_multiply(shift, 1 << bit, polynomial, width) for bit in range(width)]
    return [[_sum(bits[at : at + 8], value) for value in range(256)] for at in range(0, width, 8)]


def _sum(bits: list[int], value: int) -> int:
    """Without carries, of those that `value` has."""
    return reduce(operator.xor, (each for at, each in enumerate(bits) if value >> at & 1), 0)


def _words32(state: int, words: array[int], polynomial: int) -> int:
    low, high = _wordwise(polynomial, 32)
    for word in words:
        state ^= word
        state = low[state & 0xFFFF] ^ high[state >> 16]
    return state


def _words64(state: int, words: array[int], polynomial: int) -> int:
    a, b, c, d = _wordwise(polynomial, 64)
    for word in words:
        state ^= word
        state = a[state & 0xFFFF] ^ b[(state >> 16) & 0xFFFF] ^ c[(state >> 32) & 0xFFFF] ^ d[state >> 48]
    return state


@cache
def _bytewise(polynomial: int) -> list[int]:
    """What a byte in the low end of the state becomes when it is shifted out."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return table


@cache
def _wordwise(polynomial: int, width: int) -> list[list[int]]:
    """The same for each 16 bits of a word, lowest first: the lower, the further they have to be shifted."""
    step = _bytewise(polynomial)
    table = list(range(1 << 16))
    tables = []
    for _ in range(width // 16):
        for _ in range(2):
            table = [step[value & 0xFF] ^ (value >> 8) for value in table]
        tables.append(table)
    return tables[::-1]


def _multiply(a: int, b: int, polynomial: int, width: int) -> int:
    """a*b modulo the polynomial; the highest bit is x^0."""
    product = 0
    for bit in range(width - 1, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = (b >> 1) ^ (polynomial if b & 1 else 0)
    return product


@lru_cache(maxsize=64)
def _shift(length: int, polynomial: int, width: int) -> int:
    """x^(8*length) modulo the polynomial: what appending `length` zero bytes multiplies by."""
    result, power, left = 1 << (width - 1), 1 << (width - 9), length
    while left:
        if left & 1:
            result = _multiply(result, power, polynomial, width)
        power = _multiply(power, power, polynomial, width)
        left >>= 1
    return result
