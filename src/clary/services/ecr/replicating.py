"""Images are brought to where the rules of their registries say, in the background of a server.

A row of the database says that one is to come; it is done with when all of the image is there. Each step may be done
twice, so that a server which was killed goes on where it was."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, Standing, decide
from clary.auth.principals import Principal
from clary.context import Platform
from clary.objects.damage import Damaged
from clary.registry import images, layers, pulling, replications, repositories, templates
from clary.registry.bytes_at_rest import Bytes
from clary.registry.images import Image, TagTaken
from clary.registry.manifests import Manifest, parse
from clary.registry.names import Place
from clary.registry.replications import Replication
from clary.registry.repositories import Repository, RepositoryGone
from clary.services.ecr import creating, mutability, policies
from clary.services.iam.root_key import root_arn

_LOG = logging.getLogger(__name__)
_EVERY = 1.0  # seconds; a look at what is under way costs next to nothing
_AGAIN = 60.0  # seconds after one that could not be done
_BATCH = 100


class _Refused(Exception):
    """The registry where the image is to come does not take it."""


# What fails until somebody changes something, as it is told.
_CODES = {_Refused: "AccessDenied", TagTaken: "ImageTagAlreadyExists", Damaged: "ImageDamaged"}


def forever(platform: Platform, stopping: threading.Event, every: float = _EVERY) -> None:
    """Until `stopping` is set."""
    resting: dict[int, float] = {}
    while not stopping.is_set():
        wait = every
        try:
            replicate(platform, stopping, resting)
        except Exception:  # the thread lives as long as the server
            wait = _AGAIN
            if not stopping.is_set():
                _LOG.exception("images could not be replicated; the next round tries again")
        stopping.wait(wait)


def replicate(platform: Platform, stopping: threading.Event, resting: dict[int, float]) -> bool:
    """Brings what is under way to where it goes; whether that was done with all of it. What was refused is done with:
    a push of the image begins it anew. `resting` has the rows that could not be done, and until when (monotonic) they
    are let be; the others do not wait for them."""
    database, after, begun = platform.stores.objects, 0, time.monotonic()
    for row in [each for each, until in resting.items() if until <= begun]:
        del resting[row]
    while found := database.read(lambda connection, after=after: replications.under_way(connection, after, _BATCH)):  # type: ignore[misc] # mypy does not see defaults
        for each in found:
            if stopping.is_set():
                return True
            if each.id in resting:
                continue
            try:
                _bring(platform, each)
            except Exception:  # a full disk, a layer that went meanwhile: one that fails keeps no other from its turn
                resting[each.id] = time.monotonic() + _AGAIN
                if not stopping.is_set():
                    _LOG.exception("%s could not be brought to %s in %s", each.digest, each.account, each.region)
        after = found[-1].id
    return not resting


def _bring(platform: Platform, replication: Replication) -> None:
    database = platform.stores.objects
    found = database.read(lambda connection: _source(connection, replication))
    if found is None:
        database.write(lambda connection: replications.forget(connection, replication))
        return
    try:
        _Copying(platform, found[0], replication).copy(found[1], replication.tag)
    except tuple(_CODES) as error:
        code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
        _LOG.warning("an image of %s is not replicated to %s: %s", found[0].arn, replication.region, code)
        database.write(lambda connection: replications.end(connection, replication, "FAILED", code))
    else:
        database.write(lambda connection: replications.end(connection, replication, "COMPLETE", ""))


def _source(connection: Connection, replication: Replication) -> tuple[Repository, Image] | None:
    """What is to be brought; None once it was deleted."""
    try:
        repository = repositories.by_number(connection, replication.repository)
    except RepositoryGone:
        return None
    image = images.find(connection, repository, replication.digest)
    return None if image is None else (repository, image)


class _Copying:
    """Of images of one repository to another registry."""

    def __init__(self, platform: Platform, source: Repository, replication: Replication) -> None:
        self._platform = platform
        self._database = platform.stores.objects
        self._kept = Bytes(platform.objects, platform.secrets)
        self._source = source
        self._place = Place(replication.account, replication.region, source.name)

    def copy(self, image: Image, tag: str) -> None:
        """With all that it needs. Raises _Refused, TagTaken, Damaged; what else it raises may be over later."""
        target = self._database.write(self._target)
        open_, seen = [(image.digest, False)], set[str]()
        while open_:  # images in front of the indexes that they are in
            digest, complete = open_.pop()
            manifest = None if digest in seen and not complete else self._manifest(digest)
            if manifest is None:
                continue
            if complete or not manifest.children:
                self._enter(target, manifest, tag if digest == image.digest else "")
            else:
                open_ += [(digest, True), *((each, False) for each in sorted(manifest.children))]
            seen.add(digest)

    def _manifest(self, digest: str) -> Manifest | None:
        """None when it was deleted meanwhile."""
        found = self._database.read(lambda connection: images.find(connection, self._source, digest))
        return None if found is None else parse(images.intact(found).manifest, found.media_type)

    def _enter(self, target: Repository, manifest: Manifest, tag: str) -> None:
        for digest in sorted(manifest.layers):
            self._layer(target, digest)
        now = self._platform.clock.now()

        def enter(connection: Connection) -> None:
            self._permit(connection, "ecr:ReplicateImage")  # the bytes may have been long on their way
            here = repositories.again(connection, target)
            # A tag that was moved meanwhile comes with the image that it names now.
            named = tag if tag and images.tagged(connection, self._source, tag) == manifest.digest else None
            images.put(connection, here, manifest, named, now, lambda each: mutability.fixed(here.settings, each))

        self._database.write(enter)

    def _target(self, connection: Connection) -> Repository:
        """The repository there; made now, if it has to be."""
        self._permit(connection, "ecr:ReplicateImage")
        found = repositories.find(connection, self._place)
        if found is not None:
            return found
        self._permit(connection, "ecr:CreateRepository")
        template = templates.matching(connection, self._place, "REPLICATION")
        document = {} if template is None else template.document
        now = self._platform.clock.now()
        return creating.make(connection, self._place, document, now, self._platform.settings)

    def _permit(self, connection: Connection, action: str) -> None:
        """Another account's registry has to let this one's in. Raises _Refused."""
        account, resource = self._source.account, repositories.arn(self._place)
        if account == self._place.account:
            return
        side = policies.side(connection, resource)
        ask = Ask(Principal("root", account, root_arn(account), account), action, resource)
        if side is None or not decide(ask, Standing(resource=side.policy, resource_account=side.account)).allowed:
            raise _Refused

    def _layer(self, target: Repository, digest: str) -> None:
        """Makes it a layer of the repository there, where it is none; its bytes are copied where they cannot be
        shared."""
        now = self._platform.clock.now()

        def there(connection: Connection) -> bool:
            if layers.whole(connection, target, digest) is not None:
                layers.touch(connection, target, [digest], now)
                return True
            found = layers.find(connection, self._source, digest)
            return found is not None and layers.share(connection, found, target, now)

        if self._database.write(there):
            return
        opened = pulling.opened(
            self._database,
            lambda connection: layers.find(connection, self._source, digest),
            lambda found: self._kept.read(found.account, found.written),
        )
        if opened is None:
            return  # it was deleted meanwhile, and so was the image
        written = self._kept.copy(opened[1], target.account, target.encrypted)

        def enter(connection: Connection) -> list[str]:
            return layers.enter(connection, repositories.again(connection, target), written, now)

        try:
            freed = self._database.write(enter)
        except RepositoryGone:
            self._kept.discard([written.blob])
            raise
        self._kept.discard(freed)
