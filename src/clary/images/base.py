"""What an image URI means."""

from __future__ import annotations

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


class Images(Protocol):
    """`resolve` is quick and answers from the catalogue and from what `account` has registered (raises
    ImageNotOffered); with `script` it means what runs a script of the user's in that image, and with the `pin` of an
    earlier answer what the URI stood for then, if that is still there. `ready` says whether the
    environment exists. `prepare` says so too and, if it does not, sees to it that it is being built (seconds to
    minutes, in the background, once for all who ask); it raises ImageBuildFailed when a build has failed just now."""

    def resolve(self, uri: str, script: bool = False, account: str = "", pin: str = "") -> Image: ...

    def ready(self, image: Image) -> bool: ...

    def prepare(self, image: Image) -> bool: ...
