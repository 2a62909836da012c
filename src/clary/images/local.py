"""The images of this machine: built-in algorithms, each with a cached virtual environment."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec, Repository
from clary.config import Settings
from clary.contract.instance import Image
from clary.images import catalogue, environments
from clary.images.base import ImageBuildFailed

_FAILURE_STANDS = 5.0  # seconds: all who waited for a build that failed learn it; who asks later has it tried again


@dataclass(frozen=True, slots=True)
class Offer:
    """A line of `clary images ls`."""

    repository: str
    tags: tuple[str, ...]
    algorithm: str
    environment: Path
    ready: bool


class LocalImages:
    """Implements images.base.Images. `report` gets progress lines of builds; `built` is called after a build that
    `prepare` began has ended, either way."""

    def __init__(
        self,
        settings: Settings,
        report: environments.Report = lambda line: None,
        built: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._place = functools.cache(functools.partial(environments.path, settings))  # changes with the program only
        self._report = report
        self._built = built
        self._mutex = threading.Lock()
        self._building: set[str] = set()
        self._failed: dict[str, tuple[float, str]] = {}  # algorithm -> when (monotonic) and why

    def resolve(self, uri: str) -> Image:
        spec = catalogue.find(uri)
        place = self._place(spec.environment)
        return Image("builtin", uri, spec.name, str(place))

    def ready(self, image: Image) -> bool:
        return environments.ready(image.environment)

    def build(self, image: Image) -> None:
        """Returns when the environment is there. Raises ImageBuildFailed."""
        environments.build(self._settings, registry.spec(image.algorithm).environment, self._report)

    def prepare(self, image: Image) -> bool:
        if self.ready(image):
            return True
        with self._mutex:
            if image.algorithm in self._building:
                return False
            at, why = self._failed.get(image.algorithm, (-math.inf, ""))
            if time.monotonic() - at < _FAILURE_STANDS:
                raise ImageBuildFailed(why)
            self._building.add(image.algorithm)
        threading.Thread(target=self._build, args=(image,), name="image-build", daemon=True).start()
        return False

    def _build(self, image: Image) -> None:
        why = ""
        try:
            self.build(image)
        except ImageBuildFailed as error:
            why = str(error)
        except OSError as error:
            why = f"The image environment could not be built: {error}"
        finally:
            with self._mutex:
                self._building.discard(image.algorithm)
                if why:
                    self._failed[image.algorithm] = (time.monotonic(), why)
            self._built()

    def list(self) -> tuple[Offer, ...]:
        return tuple(self._offer(spec, each) for spec in registry.specs() for each in spec.repositories)

    def _offer(self, spec: AlgorithmSpec, repository: Repository) -> Offer:
        place = environments.path(self._settings, spec.environment)
        return Offer(repository.name, repository.tags, spec.name, place, environments.ready(place))
