"""Layers and manifests on their way out, verified. Who asks for one that is not what was pushed is told so, where that
is known before the first byte is sent; so is whoever keeps the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy.engine import Connection

from clary.objects.damage import Damaged
from clary.registry import images, layers, pulling
from clary.registry.bytes_at_rest import Bytes
from clary.registry.images import Image
from clary.registry.layers import Layer
from clary.registry.pulling import LostLayer
from clary.services.ecr import finding
from clary.services.operation import Call

_AT_ONCE = 256 * 1024  # bytes that are read before they are answered with
Span = tuple[int, int]  # the first byte, and how many
Pieces = bytes | Iterator[bytes]


def layer(
    call: Call, find: Callable[[Connection], Layer | None], span: Callable[[int], Span]
) -> tuple[Layer, Span, Pieces] | None:
    """The bytes of the layer that `find` finds, those that `span` says, which is given its size; None where there is
    none. Of one that was damaged when it was read last all are read first. Raises Damaged; so does reading them."""
    kept, database = finding.kept(call), call.platform.stores.objects

    def read(found: Layer) -> tuple[Span, Pieces]:
        if found.damaged:
            for _ in kept.read(found.account, found.written):
                pass
            database.write(lambda connection: layers.note_mended(connection, found.written.blob))
        start, length = span(found.size)
        return (start, length), _pieces(kept, found, start, length)

    try:
        opened = pulling.opened(database, find, read)
    except LostLayer as error:
        finding.damages(call).of_blob(error.blob, "its file is missing")
        raise
    return None if opened is None else (opened[0], *opened[1])


def _pieces(kept: Bytes, found: Layer, start: int, length: int) -> Pieces:
    if not length:
        return b""
    pieces = kept.read(found.account, found.written, start, length)
    return b"".join(pieces) if length <= _AT_ONCE else pieces


def image(call: Call, found: Image) -> Image:
    """An image whose manifest is about to be given out. Raises Damaged."""
    try:
        return images.intact(found)
    except Damaged:
        finding.damages(call).of_manifest(found.digest)
        raise
