"""A gate over keys in memory, with time standing still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clary.auth.gate import Gate
from clary.auth.principals import Credential, Principal
from clary.config import Settings

NOW = 1_440_938_160.0  # 2015-08-30T12:36:00Z, the time of the published vectors
ROOT = Principal("root", "123456789012", "arn:aws:iam::123456789012:root", "123456789012", "AKIDEXAMPLE")
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@dataclass
class Time:
    at: float = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Keys:
    by_id: dict[str, Credential] = field(default_factory=dict)

    def find(self, access_key: str) -> Credential | None:
        return self.by_id.get(access_key)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keys() -> Keys:
    session = Credential("ASIDEXAMPLE", SECRET, ROOT, "the/session+token==", NOW + 600)
    return Keys({"AKIDEXAMPLE": Credential("AKIDEXAMPLE", SECRET, ROOT), "ASIDEXAMPLE": session})


@pytest.fixture
def make_gate(keys: Keys, time: Time, tmp_path: Path) -> Callable[..., Gate]:
    return lambda **given: Gate(keys, time, Settings(home=tmp_path, **given))


@pytest.fixture
def gate(make_gate: Callable[..., Gate]) -> Gate:
    return make_gate()
