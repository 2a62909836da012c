"""What is done in the background of a server, again and again: lifecycle policies are carried out, and the garbage is
collected."""

from __future__ import annotations

import logging
import threading

from clary.context import Platform
from clary.registry import garbage
from clary.registry.bytes_at_rest import Bytes
from clary.registry.garbage import GRACE, Freed
from clary.services.ecr import lifecycle_sweep

_LOG = logging.getLogger(__name__)
_EVERY = 3600.0  # seconds


def forever(platform: Platform, stopping: threading.Event, every: float = _EVERY) -> None:
    """At once and then every `every` seconds, until `stopping` is set."""
    while not stopping.is_set():
        try:
            lifecycle_sweep.sweep(platform, stopping.is_set)
            collect(platform)
        except Exception:  # the thread of the rounds lives as long as the server
            if not stopping.is_set():
                _LOG.exception("the registry could not be cleared up; the next round tries again")
        stopping.wait(every)


def collect(platform: Platform, grace: float = GRACE) -> Freed:
    """As `clary.registry.garbage.collect`, of a server."""
    kept = Bytes(platform.objects, platform.secrets)
    return garbage.collect(platform.stores.objects, kept, platform.clock, grace)
