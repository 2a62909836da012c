"""The images of this machine: algorithms and frameworks, each with a cached virtual environment."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clary.config import Settings
from clary.contract.instance import Image
from clary.images import catalogue, environments, installer, registered
from clary.images.base import Collected, ImageBuildFailed, ImageUnknown
from clary.registry.names import DIGEST
from clary.registry.pulling import ImageSource

if TYPE_CHECKING:
    from clary.images.containers import Containers

_NOTE_SECONDS = 3600.0  # how exactly it is known when an environment was last used
_FAILURE_STANDS = 5.0  # seconds: all who waited for a build that failed learn it; who asks later has it tried again


class LocalImages:
    """Implements images.base.Images. `report` gets progress lines of builds; `built` is called after a build that
    `prepare` began has ended, either way. `source` has the images of accounts' own repositories."""

    def __init__(
        self,
        settings: Settings,
        report: installer.Report = lambda line: None,
        built: Callable[[], None] = lambda: None,
        source: ImageSource | None = None,
    ) -> None:
        self._settings = settings
        self._place = functools.cache(functools.partial(environments.path, settings))  # changes with the program only
        self._registry = registered.Registry(settings)
        self._source = source
        self._report = report
        self._built = built
        self._mutex = threading.Lock()
        self._building: set[str] = set()
        self._noted: dict[str, float] = {}  # environment -> when its use was noted (monotonic)
        self._failed: dict[str, tuple[float, str]] = {}  # what was to be built -> when (monotonic) and why

    @functools.cached_property
    def _containers(self) -> Containers:
        from clary.images.containers import Containers  # with what it needs, a server at rest would be 2 MB larger

        return Containers(self._settings, self._source)

    def resolve(self, uri: str, script: bool = False, account: str = "", pin: str = "") -> Image:
        own = self._of_account(uri, account, pin) if account else None
        if own is not None:
            return own
        try:
            meaning = catalogue.find(uri, script)
        except ImageUnknown:
            found = self._containers.of_engine(uri, account)
            if found is None:
                raise
            return found
        kind: Literal["builtin", "framework"] = "framework" if meaning.framework else "builtin"
        return Image(kind, uri, meaning.name, str(self._place(meaning.lock)), meaning.note)

    def _of_account(self, uri: str, account: str, pin: str) -> Image | None:
        if DIGEST.fullmatch(pin):
            return self._containers.of_repository(uri, account, pin)
        made = registered.pinned(account, uri, pin) if pin else self._registry.find(account, uri)
        return made.image(self._settings) if made else self._containers.of_repository(uri, account)

    def ready(self, image: Image) -> bool:
        if image.kind == "container":
            return self._containers.ready(image)
        there = environments.ready(image.environment)
        if there:
            self._note_use(image)
        return there

    def _note_use(self, image: Image) -> None:
        """For `shelf.leftovers` of all versions of Clary that share the folder of environments."""
        now = time.monotonic()
        if now >= self._noted.get(image.environment, -math.inf) + _NOTE_SECONDS:
            self._noted[image.environment] = now
            for each in {image.environment, image.foundation}:
                environments.mark_used(Path(each))

    def build(self, image: Image) -> None:
        """Returns when the environment, or the container's image, is there. Raises ImageBuildFailed."""
        if image.kind == "container":
            self._containers.bring(image, self._report)
            return
        name = environments.name_of(Path(image.environment))
        if image.kind == "folder":
            registered.build(self._settings, name, Path(image.programs), self._report)
        else:
            environments.build(self._settings, name, self._report)

    def prepare(self, image: Image) -> bool:
        if self.ready(image):
            return True
        with self._mutex:
            if _key(image) in self._building:
                return False
            at, why = self._failed.get(_key(image), (-math.inf, ""))
            if time.monotonic() - at < _FAILURE_STANDS:
                raise ImageBuildFailed(why)
            self._building.add(_key(image))
        threading.Thread(target=self._build, args=(image,), name="image-build", daemon=True).start()
        return False

    def collect(self, pins: Callable[[], Set[str]]) -> Collected:
        folders, containers = self._registry.collect(pins), self._containers.collect(pins)
        kept = [*folders.kept, *containers.kept]
        return Collected([*folders.removed, *containers.removed], folders.size + containers.size, kept)

    def _build(self, image: Image) -> None:
        why = ""
        try:
            self.build(image)
        except ImageBuildFailed as error:
            why = str(error)
        except Exception as error:  # what strangers' images hold may raise anything; who waits has to learn of it
            why = f"The image environment could not be built: {type(error).__name__}: {error}"
        finally:
            with self._mutex:
                self._building.discard(_key(image))
                if why:
                    self._failed[_key(image)] = (time.monotonic(), why)
            self._built()


def _key(image: Image) -> str:
    """What is built for it."""
    return image.container or image.environment
