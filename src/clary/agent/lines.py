"""What a job prints, as log lines, and the metrics in them."""

from __future__ import annotations

import codecs
import re
import signal
from collections.abc import Sequence
from types import FrameType

from clary.contract.instance import MetricDefinition

LONGEST_EVENT = 256 * 1024 - 26  # bytes of one log event
_PATIENCE = 0.2  # seconds for all metrics of one line
_SLOW_LINES = 3  # after so many a definition is given up

# For `needed`: flags and assertions, escapes that write a character by its number; and what is no text.
_UNCLEAR = re.compile(r"\(\?[^:]|\\[^\W_dDwWsSbBAZ]")
_ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_INNERMOST_GROUP = re.compile(r"\([^()]*\)")
_REPEATED = re.compile(r".(?:[*?]|\{[^}]*\}?)", re.DOTALL)
_NO_TEXT = re.compile(r"[.^$+()?*{}]")


class LineSplitter:
    """Bytes of one stream -> lines. Invalid UTF-8 becomes U+FFFD; a carriage return ends a line as a newline does
    (progress bars); what is longer than an event is cut into several."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes, final: bool = False) -> list[str]:
        text = self._rest + self._decoder.decode(data, final)
        # "\r" at the end may be the first half of "\r\n"
        held = "\r" if text.endswith("\r") and not final else ""
        parts = text.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = parts.pop() + held
        if final or len(self._rest) > LONGEST_EVENT:
            parts += [self._rest] if self._rest else []
            self._rest = ""
        return [piece for line in parts for piece in _cut(line)]


def _cut(line: str) -> list[str]:
    if len(line) * 4 <= LONGEST_EVENT or len(line.encode()) <= LONGEST_EVENT:
        return [line]
    size = LONGEST_EVENT // 4
    return [line[at : at + size] for at in range(0, len(line), size)]


class MetricScraper:
    """Searches every definition in every line. `values`: name -> (last value, epoch seconds).

    A regex of a stranger can take for ever, so the search is interrupted by a timer (the main thread only: that is
    where Python runs signal handlers, which its regex engine polls). A built-in algorithm declares dozens, of which a
    job prints two or three: each is compiled when a line first has the text that its matches must have."""

    def __init__(self, definitions: Sequence[MetricDefinition]) -> None:
        self.values: dict[str, tuple[float, float]] = {}
        self._wanted = {each.name: (needed(each.regex), each.regex) for each in definitions}
        self._patterns: dict[str, re.Pattern[str]] = {}
        self._slow: dict[str, int] = {}
        if self._wanted:
            signal.signal(signal.SIGALRM, _interrupt)

    def scan(self, line: str, at: float) -> None:
        # CloudWatch shows a tab as "#011", and published regexes are written for that
        forms = (line, line.replace("\t", "#011")) if "\t" in line else (line,)
        text = "\n".join(forms)
        found = [name for name, (part, _) in self._wanted.items() if part in text]
        for name in found:
            pattern = self._patterns.get(name) or self._compile(name)
            value = self._search(name, pattern, forms) if pattern else None
            if value is not None:
                self.values[name] = (value, at)

    def _compile(self, name: str) -> re.Pattern[str] | None:
        try:
            self._patterns[name] = re.compile(self._wanted[name][1])
        except (re.error, RecursionError, OverflowError):  # validated at Create; what does not compile matches nothing
            del self._wanted[name]
        return self._patterns.get(name)

    def _search(self, name: str, pattern: re.Pattern[str], forms: Sequence[str]) -> float | None:
        try:
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
            try:
                found = next((match for form in forms if (match := pattern.search(form))), None)
            finally:  # the alarm may come in here still: it is raised at the latest when this call returns
                signal.setitimer(signal.ITIMER_REAL, 0)
            return float(found[1]) if found else None
        except _TooSlow:
            self._slow[name] = self._slow.get(name, 0) + 1
            if self._slow[name] >= _SLOW_LINES:
                del self._wanted[name], self._patterns[name]
        except (ValueError, TypeError, IndexError):
            return None  # not a number, or no group: skipped
        return None


def needed(regex: str) -> str:
    """A text that is in every match of the regex: the longest that stands in it outside of groups, classes and
    repetitions; "" where that cannot be told at a glance."""
    if "|" in regex or _UNCLEAR.search(regex):
        return ""
    rest = _ESCAPE_OR_CLASS.sub(".", regex)
    while rest != (rest := _INNERMOST_GROUP.sub(".", rest)):
        pass
    return max(_NO_TEXT.split(_REPEATED.sub(".", rest)), key=len)


class _TooSlow(Exception):
    pass


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise _TooSlow
