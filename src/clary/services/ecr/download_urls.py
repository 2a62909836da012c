"""Addresses at which a layer is downloaded by whoever has one, for an hour."""

from __future__ import annotations

from urllib.parse import quote

from sqlalchemy.engine import Connection

from clary.auth.registry_token import TICKET
from clary.errors import ServiceError
from clary.registry import layers
from clary.registry.layers import Layer
from clary.registry.names import DIGEST, host_name
from clary.services.ecr import faults, finding, tokens
from clary.services.operation import Call, Document, Operations

operations = Operations()

_SECONDS = 3600.0


@operations.handles("GetDownloadUrlForLayer")
def get_download_url_for_layer(call: Call, given: Document) -> Document:
    """The address is good as long as the caller's key is, and he may still do what he asked for; it opens that path and
    nothing else."""
    place, digest = finding.place(call, given), given["layerDigest"]
    if not DIGEST.fullmatch(digest):
        raise faults.invalid("layerDigest", f"must satisfy regular expression '{DIGEST.pattern}'")

    def look(connection: Connection) -> tuple[Layer | None, bool]:
        repository = finding.find(connection, place)
        return layers.find(connection, repository, digest), layers.is_needed(connection, repository, digest)

    found, needed = finding.read(call, look)
    if found is None:
        raise faults.layer_unknown(place, digest)
    if found.damaged:
        message = f"The layer {digest} is damaged on the server's disk and is not given out: push it again"
        raise ServiceError("LayerInaccessibleException", message)
    if not needed:
        message = f"The layer {digest} is of no image: layers of images alone are downloaded"
        raise ServiceError("LayerInaccessibleException", message)
    path = f"/v2/{host_name(place.account, place.region)}/{place.repository}/blobs/{digest}"
    ticket = quote(tokens.give_out(call, _SECONDS, path).password, safe="")
    return {"downloadUrl": f"{finding.endpoint(call, place.account)}{path}?{TICKET}={ticket}", "layerDigest": digest}
