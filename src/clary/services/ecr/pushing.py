"""An image enters a repository, by whichever way it comes."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy.engine import Connection

from clary.registry import images
from clary.registry.images import MissingParts, TagTaken
from clary.registry.manifests import Manifest
from clary.registry.names import Place
from clary.services.ecr import faults, finding, mutability, replication
from clary.services.operation import Call


class Before(NamedTuple):
    """What there was: the image itself, and whether the tag named it already."""

    image: bool
    tag: bool


def push(call: Call, place: Place, manifest: Manifest, tag: str | None, anew: bool = False) -> Before:
    """With `anew` it must change something. Raises RepositoryNotFoundException, ImageAlreadyExistsException,
    ImageTagAlreadyExistsException, LayersNotFoundException, ReferencedImagesNotFoundException."""
    now = call.platform.clock.now()

    def work(connection: Connection) -> Before:
        repository = finding.find(connection, place)
        there = images.find(connection, repository, manifest.digest) is not None
        named = tag is not None and images.tagged(connection, repository, tag) == manifest.digest
        if anew and there and (named or tag is None):
            raise faults.image_there(place, manifest.digest, tag)
        images.put(connection, repository, manifest, tag, now, lambda each: mutability.fixed(repository.settings, each))
        replication.begin(connection, repository, manifest.digest, tag)
        return Before(there, named)

    try:
        return finding.write(call, work)
    except TagTaken:
        raise faults.tag_there(place, tag or "") from None
    except MissingParts as error:
        if error.layers:
            raise faults.no_layers(place, error.layers) from None
        raise faults.no_children(place, error.children) from None
