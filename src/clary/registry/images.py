"""Images of a repository, and the tags that name them: functions of a connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.objects.damage import Damaged
from clary.registry import layers, repositories
from clary.registry.manifests import Manifest
from clary.registry.names import DIGEST, TAG, Reference, digest_of
from clary.registry.repositories import Repository
from clary.store.registry_schema import images, references, replications, tags

TagStatus = Literal["TAGGED", "UNTAGGED", "ANY"]

_NOTE_SECONDS = 3600.0  # how exactly pulls are noted
_AT_ONCE = 500


class MissingParts(Exception):
    """The repository does not have what a manifest needs: `layers` (digests), or images of an index (`children`)."""

    def __init__(self, layers: Collection[str], children: Collection[str]) -> None:
        super().__init__(", ".join((*sorted(layers), *sorted(children))))
        self.layers = sorted(layers)
        self.children = sorted(children)


class TagTaken(Exception):
    """The tag may not be moved away from its image, whose digest `str` gives."""


class Needed(Exception):
    """An index needs the image; `str` is the index's digest."""


@dataclass(frozen=True, slots=True)
class Image:
    """A row of the table, see there; times are epoch seconds."""

    repository: int
    digest: str
    media_type: str
    manifest: bytes
    artifact_type: str
    subject: str
    size: int
    pushed: float
    pulled: float | None


def find(connection: Connection, repository: Repository, reference: str) -> Image | None:
    """By tag or by digest."""
    digest = reference if ":" in reference else tagged(connection, repository, reference)
    if digest is None or not DIGEST.fullmatch(digest):
        return None
    row = connection.execute(sa.select(images).where(*_this(repository, digest))).first()
    return None if row is None else Image(*row)


def intact(image: Image) -> Image:
    """The image, whose manifest is about to be given out. Raises Damaged."""
    if digest_of(image.manifest) != image.digest:
        raise Damaged(f"the manifest {image.digest} has another digest")
    return image


def at(connection: Connection, wanted: Reference) -> Image | None:
    repository = repositories.find(connection, wanted.place)
    return None if repository is None else find(connection, repository, wanted.reference)


def tagged(connection: Connection, repository: Repository, tag: str) -> str | None:
    """The digest of the image that a tag names."""
    if not TAG.fullmatch(tag):
        return None
    found: str | None = connection.scalar(
        sa.select(tags.c.digest).where(tags.c.repository == repository.id, tags.c.name == tag)
    )
    return found


def tags_of(connection: Connection, repository: Repository, digests: Sequence[str]) -> dict[str, list[str]]:
    """Digest -> tags by name; digests without tags are left out."""
    found: dict[str, list[str]] = {}
    for at in range(0, len(digests), _AT_ONCE):
        some = digests[at : at + _AT_ONCE]
        wanted = sa.select(tags.c.digest, tags.c.name).where(tags.c.repository == repository.id)
        for row in connection.execute(wanted.where(tags.c.digest.in_(some)).order_by(tags.c.name)):
            found.setdefault(row.digest, []).append(row.name)
    return found


def put(
    connection: Connection,
    repository: Repository,
    manifest: Manifest,
    tag: str | None,
    now: float,
    fixed: Callable[[str], bool],
) -> None:
    """Enters the image and has the tag name it; one that is there stays, with a manifest that is right now. `fixed`
    says of a tag whether it must not be moved. Raises MissingParts, TagTaken."""
    before = None if tag is None else tagged(connection, repository, tag)
    if tag is not None and before not in (None, manifest.digest) and fixed(tag):
        raise TagTaken(before)
    size = _checked(connection, repository, manifest)
    there = find(connection, repository, manifest.digest)
    if there is None:
        _enter(connection, repository, manifest, size, now)
    elif there.manifest != manifest.data:
        connection.execute(images.update().where(*_this(repository, manifest.digest)).values(manifest=manifest.data))
    if tag is not None and before != manifest.digest:
        untag(connection, repository, tag)
        connection.execute(tags.insert().values(repository=repository.id, name=tag, digest=manifest.digest))


def _checked(connection: Connection, repository: Repository, manifest: Manifest) -> int:
    """How large the image is. Raises MissingParts."""
    sizes = layers.sizes(connection, repository, manifest.layers)
    children = _sizes(connection, repository, manifest.children)
    missing = manifest.layers - sizes.keys(), manifest.children - children.keys()
    if any(missing):
        raise MissingParts(*missing)
    return sum(sizes.values()) + max(children.values(), default=0)


def _sizes(connection: Connection, repository: Repository, digests: Collection[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    named = sorted(digests)
    for at in range(0, len(named), _AT_ONCE):
        wanted = sa.select(images.c.digest, images.c.size).where(images.c.repository == repository.id)
        rows = connection.execute(wanted.where(images.c.digest.in_(named[at : at + _AT_ONCE])))
        found.update((row.digest, row.size) for row in rows)
    return found


def _enter(connection: Connection, repository: Repository, manifest: Manifest, size: int, now: float) -> None:
    values = {"media_type": manifest.media_type, "manifest": manifest.data, "artifact_type": manifest.artifact_type}
    where = {"repository": repository.id, "digest": manifest.digest}
    connection.execute(images.insert().values(**where, **values, subject=manifest.subject, size=size, pushed=now))
    needed = [{**where, "target": each} for each in sorted(manifest.layers | manifest.children)]
    if needed:
        connection.execute(references.insert(), needed)


def untag(connection: Connection, repository: Repository, tag: str) -> None:
    connection.execute(tags.delete().where(tags.c.repository == repository.id, tags.c.name == tag))


def remove(connection: Connection, repository: Repository, digest: str, now: float) -> None:
    """An image with its tags. What only it needed is let go a day later. Raises Needed."""
    this = (references.c.repository == repository.id, references.c.target == digest)
    index: str | None = connection.scalar(sa.select(references.c.digest).where(*this).limit(1))
    if index is not None:
        raise Needed(index)
    mine = (references.c.repository == repository.id, references.c.digest == digest)
    layers.touch(connection, repository, list(connection.scalars(sa.select(references.c.target).where(*mine))), now)
    connection.execute(references.delete().where(*mine))
    replicated = (replications.c.repository == repository.id, replications.c.digest == digest)
    connection.execute(replications.delete().where(*replicated))
    connection.execute(tags.delete().where(tags.c.repository == repository.id, tags.c.digest == digest))
    connection.execute(images.delete().where(*_this(repository, digest)))


def due_for_note(image: Image, now: float) -> bool:
    """Whether a pull is to be noted: once an hour is exact enough, and leaves most pulls without a write."""
    return image.pulled is None or now - image.pulled >= _NOTE_SECONDS


def note_pull(connection: Connection, image: Image, now: float) -> None:
    this = (images.c.repository == image.repository, images.c.digest == image.digest)
    connection.execute(images.update().where(*this).values(pulled=now))


def _this(repository: Repository, digest: str) -> tuple[sa.ColumnElement[bool], ...]:
    return images.c.repository == repository.id, images.c.digest == digest
