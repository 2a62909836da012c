"""What an image URI means."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Protocol

from clary.contract.instance import Image
from clary.errors import ServiceError


class ImageNotOffered(ServiceError):
    """No such image here; the message says what exists instead."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class ImageUnknown(ImageNotOffered):
    """Nothing here has the name, and none of AWS's images has: it may be one of the container engine's."""


class ImageBuildFailed(Exception):
    """The environment could not be built (no package source, no disk); the message says what to do."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What went, by the names that people know it by; `size` in bytes; `kept` says why something did not go."""

    removed: list[str]
    size: int
    kept: list[str]


class Images(Protocol):
    """`resolve` is quick and answers from the catalogue and from what `account` has registered (raises
    ImageNotOffered); with `script` it means what runs a script of the user's in that image, and with the `pin` of an
    earlier answer what the URI stood for then, if that is still there. `ready` says whether the
    environment exists. `prepare` says so too and, if it does not, sees to it that it is being built (seconds to
    minutes, in the background, once for all who ask); it raises ImageBuildFailed when a build has failed just now.

    `collect` removes what accounts put in the place of images and what was made of their repositories, as far as
    neither a URI stands for it nor one of `pins` (asked while it works) is an image's: those of all that exists."""

    def resolve(self, uri: str, script: bool = False, account: str = "", pin: str = "") -> Image: ...

    def ready(self, image: Image) -> bool: ...

    def prepare(self, image: Image) -> bool: ...

    def collect(self, pins: Callable[[], Set[str]]) -> Collected: ...
