"""The images of this machine: built-in algorithms, each with a cached virtual environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec, Repository
from clary.config import Settings
from clary.contract.instance import Image
from clary.images import catalogue, environments


@dataclass(frozen=True, slots=True)
class Offer:
    """A line of `clary images ls`."""

    repository: str
    tags: tuple[str, ...]
    algorithm: str
    environment: Path
    ready: bool


class LocalImages:
    """Implements images.base.Images. `report` gets progress lines of builds."""

    def __init__(self, settings: Settings, report: environments.Report = lambda line: None) -> None:
        self._settings = settings
        self._report = report

    def resolve(self, uri: str) -> Image:
        spec = catalogue.find(uri)
        place = environments.path(self._settings, spec.environment)
        return Image("builtin", uri, spec.name, str(place))

    def ready(self, image: Image) -> bool:
        return environments.ready(Path(image.environment))

    def prepare(self, image: Image) -> None:
        environments.build(self._settings, registry.spec(image.algorithm).environment, self._report)

    def list(self) -> tuple[Offer, ...]:
        return tuple(self._offer(spec, each) for spec in registry.specs() for each in spec.repositories)

    def _offer(self, spec: AlgorithmSpec, repository: Repository) -> Offer:
        place = environments.path(self._settings, spec.environment)
        return Offer(repository.name, repository.tags, spec.name, place, environments.ready(place))
