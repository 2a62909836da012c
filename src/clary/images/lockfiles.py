"""The lock files of image environments: one for each, with hashes and without any index address."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping
from importlib import resources

from clary.images import pythons

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)( ;)?", re.MULTILINE)


@functools.cache  # files of this package: they change with the program only
def text(name: str) -> str:
    return resources.files("clary.images").joinpath("locks", f"{pythons.lock_of(name)}.txt").read_text(encoding="utf-8")


@functools.cache
def versions(name: str) -> Mapping[str, str]:
    """Package to version; of several, for several machines or Pythons, the last."""
    return {package: version for package, version, _ in _PINNED.findall(text(name))}


def on_some_machines(name: str) -> frozenset[str]:
    """Packages that only some machines or Pythons get."""
    found = _PINNED.findall(text(name))
    counted = Counter(package for package, _, _ in found)
    return frozenset(package for package, _, marker in found if marker and counted[package] == 1)
