"""Images of repositories that the container engine was given: what it has of them, and which of them go.

Their names begin with one of this home's, so that another home on the machine keeps what is its own, and end with their
digests.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Set
from typing import Any, NamedTuple

from clary.config import Settings
from clary.registry.names import Place
from clary.sandbox import engine
from clary.sandbox.engine import Engine, EngineError, NoEngine

OURS = "localhost/clary/"  # what the names begin with of all homes


class Brought(NamedTuple):
    """`name` is the engine's; `size` in bytes, with the layers that it shares with others."""

    name: str
    account: str
    region: str
    repository: str
    digest: str
    size: int

    @property
    def words(self) -> str:
        """As people tell it from others."""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{self.repository}@{self.digest}"


def name_of(settings: Settings, place: Place, digest: str) -> str:
    """Under which the engine has an image of a repository, or will have it."""
    return f"{_prefix(settings)}{place.account}/{place.region}/{place.repository}:{digest.replace(':', '-')}"


def account_and_digest(settings: Settings, name: str) -> tuple[str, str] | None:
    """Of what `name_of` made; None for all other names."""
    if not name.startswith(_prefix(settings)):
        return None
    return name.removeprefix(_prefix(settings)).partition("/")[0], name.rpartition(":")[2].replace("-", ":", 1)


def listing(settings: Settings) -> list[Brought]:
    """By name; none where there is no engine. Raises EngineError."""
    try:
        there = json.loads(engine.find().ask("images", "--format", "json"))
    except NoEngine:
        return []
    except ValueError as error:
        raise EngineError(f"the list of its images cannot be read: {error}") from error
    return sorted({found for each in there for found in _ours(settings, each)})  # podman tells one again for each name


def remove(runs: Engine, there: list[Brought], needed: Set[str]) -> tuple[list[Brought], list[str]]:
    """(those that went, why others did not): all but those with a digest of `needed`. What a container is of stays."""
    gone, kept = list[Brought](), list[str]()
    for each in there:
        if each.digest not in needed:
            try:
                runs.ask("rmi", each.name)
                gone.append(each)
            except EngineError as error:
                kept.append(f"{each.words} stays: {error}")
    return gone, kept


def _ours(settings: Settings, image: dict[str, Any]) -> Iterator[Brought]:
    for name in image.get("Names") or ():
        if account_and_digest(settings, name) is not None:
            account, region, rest = name.removeprefix(_prefix(settings)).split("/", 2)
            repository, _, digest = rest.rpartition(":")
            yield Brought(name, account, region, repository, digest.replace("-", ":", 1), int(image.get("Size", 0)))


def _prefix(settings: Settings) -> str:
    return f"{OURS}{hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:12]}/"
