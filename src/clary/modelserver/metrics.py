"""Metrics that handlers record by their context: each is a line of the log, in the form of AWS's model servers."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

from clary.algorithms import log

_UNITS = {"ms": "Milliseconds", "s": "Seconds", "percent": "Percent", "count": "Count"}
_UNITS |= {"B": "Bytes", "kB": "Kilobytes", "MB": "Megabytes", "GB": "Gigabytes"}
_TIMES, _SIZES = ("ms", "s"), ("MB", "kB", "GB", "B")


class Metrics:
    """`request_id` is that of the request under way, empty while the model is loaded. `idx`, a place in a batch, is
    always that request. `dimensions` are further ones, NAME:VALUE as text."""

    def __init__(self, model_name: str) -> None:
        self.request_id = ""
        self._model_name = model_name
        self._counts: dict[tuple[str, str], float] = {}

    def add_counter(self, name: str, value: float, idx: int | None = None, dimensions: Sequence[Any] = ()) -> None:
        """Adds to what the request has counted so far under that name, and logs the sum."""
        before = self._counts.get((self.request_id, name), 0)
        self._counts = {key: count for key, count in self._counts.items() if key[0] == self.request_id}
        self._counts[self.request_id, name] = before + value
        self._log(name, before + value, "count", dimensions)

    def add_time(
        self, name: str, value: float, idx: int | None = None, unit: str = "ms", dimensions: Sequence[Any] = ()
    ) -> None:
        self._log(name, value, _one_of(unit, _TIMES), dimensions)

    def add_size(
        self, name: str, value: float, idx: int | None = None, unit: str = "MB", dimensions: Sequence[Any] = ()
    ) -> None:
        self._log(name, value, _one_of(unit, _SIZES), dimensions)

    def add_percent(self, name: str, value: float, idx: int | None = None, dimensions: Sequence[Any] = ()) -> None:
        self._log(name, value, "percent", dimensions)

    def add_error(self, name: str, value: str, dimensions: Sequence[Any] = ()) -> None:
        self._log(name, value, "", dimensions, level="Error")

    def add_metric(
        self,
        name: str,
        value: float,
        idx: int | None = None,
        unit: str | None = None,
        dimensions: Sequence[Any] = (),
    ) -> None:
        self._log(name, value, unit or "", dimensions)

    def _log(self, name: str, value: object, unit: str, dimensions: Sequence[Any], level: str = "Model") -> None:
        told = [*map(str, dimensions or ()), f"ModelName:{self._model_name}", f"Level:{level}"]
        about = ",".join(filter(None, (f"#hostname:{socket.gethostname()}", str(int(time.time())), self.request_id)))
        log.plain(f"{name}.{_UNITS.get(unit, unit)}:{value}|#{','.join(told)}|{about}")


def _one_of(unit: str, units: Sequence[str]) -> str:
    if unit not in units:
        raise ValueError(f"the unit has to be one of {', '.join(units)}, not {unit!r}")
    return unit
