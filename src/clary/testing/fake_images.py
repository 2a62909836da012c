"""Images in memory: one built-in algorithm, or a script in its environment, which is ready or not as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Set
from typing import Literal

from clary.contract.instance import Image
from clary.images.base import Collected, ImageNotOffered


class FakeImages:
    """Implements clary.images.base.Images. `building` is called by `prepare`, which is ready
    after it; it may block or raise. `repository` is the ARN of the one that all images are of. What a URI stands
    for, `stands`, may be changed, as by a tag that moves; images say which one they are by their `note`. Of what is in
    `gone` there is none any more."""

    def __init__(self, ready: bool = True, building: Callable[[], None] = lambda: None, repository: str = "") -> None:
        self.prepared = 0
        self._repository = repository
        self.stands = ""
        self.gone: set[str] = set()
        self._ready = ready
        self._building = building
        self._mutex = threading.Lock()

    def resolve(self, uri: str, script: bool = False, account: str = "", pin: str = "") -> Image:
        repository = uri.rpartition("/")[2].partition(":")[0]
        if repository not in ("sagemaker-xgboost", "xgboost"):
            raise ImageNotOffered(f"The image {uri} is not offered. Offered: sagemaker-xgboost.")
        kind: Literal["framework", "builtin"] = "framework" if script else "builtin"
        one = pin or self.stands
        if one in self.gone:
            raise ImageNotOffered(f"{one} cannot be had any more.")
        return Image(kind, uri, "xgboost", "/environments/xgboost", one, repository=self._repository, pin=one)

    def ready(self, image: Image) -> bool:
        return self._ready

    def prepare(self, image: Image) -> bool:
        with self._mutex:
            self.prepared += 1
            self._building()
            self._ready = True
        return True

    def collect(self, pins: Callable[[], Set[str]]) -> Collected:
        return Collected([], 0, [])
