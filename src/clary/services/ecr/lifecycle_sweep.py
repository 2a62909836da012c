"""Lifecycle policies, carried out: what is due goes in small transactions, each of which looks again.

Nothing is kept between two rounds: one that was killed is made good by the next. An image that an index needs goes in
the round after the index.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.registry import images, listings, repositories
from clary.registry.images import Needed
from clary.registry.repositories import Repository, RepositoryGone
from clary.services.ecr import lifecycle_rules
from clary.services.ecr.lifecycle_rules import Candidate, Expired

_BATCH = 100  # images in one transaction
_LOG = logging.getLogger(__name__)

Stopped = Callable[[], bool]


def sweep(platform: Platform, stopped: Stopped = lambda: False) -> int:
    """Carries out the policies of all repositories; returns how many images went. One that cannot be carried out is
    logged, and keeps no other from its turn."""
    gone = 0
    for each in platform.stores.objects.read(repositories.with_lifecycle):
        if stopped():
            break
        try:
            gone += _of_repository(platform, each, stopped)
        except Exception:  # one policy that fails keeps no other from its turn
            if not stopped():
                _LOG.exception("the lifecycle policy of %s could not be carried out", each.arn)
    return gone


def due(connection: Connection, repository: Repository, text: str, now: float) -> list[Expired]:
    """What the policy of that text would expire."""
    named = listings.tagged(connection, repository)
    candidates = [
        Candidate(digest, pushed, tuple(named.get(digest, ())))
        for digest, pushed in listings.pushed(connection, repository)
    ]
    return list(lifecycle_rules.expired(lifecycle_rules.parse(text), candidates, now))


def _of_repository(platform: Platform, repository: Repository, stopped: Stopped) -> int:
    database, now, text = platform.stores.objects, platform.clock.now(), repository.lifecycle or ""
    found = database.read(lambda connection: due(connection, repository, text, now))
    gone = 0
    try:
        for at in range(0, len(found), _BATCH):
            if stopped():
                return gone
            some = [each.image for each in found[at : at + _BATCH]]
            gone += database.write(lambda connection, some=some: _expire(connection, repository, some, now))  # type: ignore[misc] # mypy does not see defaults
        database.write(lambda connection: _note(connection, repository, now))
    except RepositoryGone:
        pass
    return gone


def _expire(connection: Connection, repository: Repository, found: Sequence[Candidate], now: float) -> int:
    """Those that are as they were when they were judged, as long as the policy is."""
    if repositories.again(connection, repository).lifecycle != repository.lifecycle:
        return 0
    named, gone = images.tags_of(connection, repository, [each.digest for each in found]), 0
    for each in found:
        there = images.find(connection, repository, each.digest)
        if there is None or there.pushed != each.pushed or tuple(named.get(each.digest, ())) != each.tags:
            continue
        try:
            images.remove(connection, repository, each.digest, now)
            gone += 1
        except Needed:
            continue
    return gone


def _note(connection: Connection, repository: Repository, now: float) -> None:
    if repositories.again(connection, repository).lifecycle == repository.lifecycle:
        repositories.change(connection, repository, evaluated=now)
