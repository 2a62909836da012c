"""Objects whose bytes are not what was stored: told to whoever keeps the server, never to who reads them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.config import Settings
from clary.objects.damage import Damage, DamageList
from clary.registry import layers
from clary.store.engine import Database
from clary.store.objects_schema import objects, parts, versions

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notices:
    """Writes them to the log, and to the list that `clary doctor` shows; a layer's to the registry too, which asks for
    it when somebody is about to push it."""

    settings: Settings
    database: Database
    clock: Clock

    def of_blob(self, blob: str, words: str) -> None:
        """Of every object and version that it is of, or of the layer. Raises nothing: what is wrong besides is in the
        log."""
        try:
            for bucket, key, version in self.database.read(lambda connection: _owners(connection, blob)):
                note(self.settings, self.clock, bucket, key, version, f"{words} (file {blob})")
            for digest in self.database.read(lambda connection: layers.owners(connection, blob)):
                self._of_registry(f"the layer {digest} of container images", f"{words} (file {blob})")
                self.database.write(lambda connection: layers.note_damage(connection, blob))
        except Exception:  # the reader's answer is what matters
            _LOG.exception("the blob %s is damaged (%s); of which object it is could not be found out", blob, words)

    def of_manifest(self, digest: str) -> None:
        """Of an image. Raises OSError when the list cannot be written."""
        self._of_registry(f"the manifest {digest} of a container image", "its bytes have another digest")

    def _of_registry(self, what: str, words: str) -> None:
        _LOG.error(
            "%s is damaged and is not given out: %s. Push the images that need it again, or restore a backup into "
            "another home and push them from there.",
            what,
            words,
        )
        DamageList(self.settings.damages).add(Damage(what, words, self.clock.now()))

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """An edge has found one."""
        self.of_blob(str(question["blob"]), str(question["words"]))
        return {}


def note(settings: Settings, clock: Clock, bucket: str, key: bytes, version: str, words: str) -> None:
    """Raises OSError when the list cannot be written."""
    name = f"s3://{bucket}/{key.decode('utf-8', 'backslashreplace')}"
    what = name if version == "null" else f"{name} (version {version})"
    _LOG.error(
        "%s is damaged and is not given out: %s. Put it again, or restore a backup into another home and copy it from "
        "there; `clary doctor --deep` reads every object.",
        what,
        words,
    )
    DamageList(settings.damages).add(Damage(what, words, clock.now()))


def _owners(connection: Connection, blob: str) -> list[tuple[str, bytes, str]]:
    """(bucket, key, version) of each object that the blob is of, or a part of. What is of a part is found by looking at
    every row: damage is rare."""
    found: list[tuple[str, bytes, str]] = []
    upload = connection.scalar(sa.select(parts.c.upload).where(parts.c.blob == blob))
    for table in (objects, versions):
        wanted = table.c.blob == blob if upload is None else table.c.upload == upload
        rows = connection.execute(sa.select(table.c.bucket, table.c.key, table.c.version).where(wanted))
        found += [(row.bucket, bytes(row.key), row.version) for row in rows]
    return found
