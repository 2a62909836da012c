"""The images of this machine: algorithms and frameworks, each with a cached virtual environment."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from clary.config import Settings
from clary.contract.instance import Image
from clary.images import catalogue, environments, installer, registered
from clary.images.base import ImageBuildFailed

_FAILURE_STANDS = 5.0  # seconds: all who waited for a build that failed learn it; who asks later has it tried again


class LocalImages:
    """Implements images.base.Images. `report` gets progress lines of builds; `built` is called after a build that
    `prepare` began has ended, either way."""

    def __init__(
        self,
        settings: Settings,
        report: installer.Report = lambda line: None,
        built: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._place = functools.cache(functools.partial(environments.path, settings))  # changes with the program only
        self._registry = registered.Registry(settings)
        self._report = report
        self._built = built
        self._mutex = threading.Lock()
        self._building: set[str] = set()
        self._failed: dict[str, tuple[float, str]] = {}  # environment -> when (monotonic) and why

    def resolve(self, uri: str, script: bool = False, account: str = "") -> Image:
        registered = self._registry.find(account, uri) if account else None
        if registered is not None:
            return registered.image(self._settings)
        meaning = catalogue.find(uri, script)
        kind: Literal["builtin", "framework"] = "framework" if meaning.framework else "builtin"
        return Image(kind, uri, meaning.name, str(self._place(meaning.lock)), meaning.note)

    def ready(self, image: Image) -> bool:
        return environments.ready(image.environment)

    def build(self, image: Image) -> None:
        """Returns when the environment is there. Raises ImageBuildFailed."""
        name = environments.name_of(Path(image.environment))
        if image.kind == "folder":
            registered.build(self._settings, name, Path(image.programs), self._report)
        else:
            environments.build(self._settings, name, self._report)

    def prepare(self, image: Image) -> bool:
        if self.ready(image):
            return True
        with self._mutex:
            if image.environment in self._building:
                return False
            at, why = self._failed.get(image.environment, (-math.inf, ""))
            if time.monotonic() - at < _FAILURE_STANDS:
                raise ImageBuildFailed(why)
            self._building.add(image.environment)
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
                self._building.discard(image.environment)
                if why:
                    self._failed[image.environment] = (time.monotonic(), why)
            self._built()
