"""An algorithm's log is what it prints: one line, one event, at once (a pipe would otherwise hold lines back)."""

from __future__ import annotations

import time


def info(message: str) -> None:
    _line("INFO", message)


def warning(message: str) -> None:
    _line("WARNING", message)


def error(message: str) -> None:
    _line("ERROR", message)


def plain(line: str) -> None:
    """A line without a prefix, such as the metrics of a round."""
    print(line, flush=True)


def _line(level: str, message: str) -> None:
    print(f"[{time.strftime('%Y-%m-%d:%H:%M:%S', time.gmtime())}:{level}] {message}", flush=True)
