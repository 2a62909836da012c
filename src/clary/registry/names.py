"""How images are named: digests, tags, repositories, and the references that people write."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

REPOSITORY = re.compile(r"(?=.{2,256}\Z)[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
HOST = re.compile(r"([0-9]{12})\.dkr[.-]ecr\.([a-z]{2}(?:-[a-z]+)+-[0-9])\.amazonaws\.com(?:\.cn)?")

_DEFAULT_TAG = "latest"
# What tells a host from the first part of a repository's name, as Docker's clients have it.
_ELSEWHERE = re.compile(r"[^/]*[.:][^/]*|localhost|\[[^/]*")


class Place(NamedTuple):
    """Where a repository is."""

    account: str
    region: str
    repository: str


class Reference(NamedTuple):
    """An image: `reference` is a tag or a digest."""

    place: Place
    reference: str

    @property
    def is_digest(self) -> bool:
        return ":" in self.reference


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def host_name(account: str, region: str) -> str:
    """AWS's name of a registry."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def registry(host: str) -> tuple[str, str] | None:
    """(account, region) of a registry that AWS would call so; None for any other host."""
    found = HOST.fullmatch(host.lower())
    return None if found is None else (found[1], found[2])


def place(name: str, account: str, region: str) -> Place | None:
    """Where the repository is that a path names: in the registry of `account` and `region`, unless the name begins with
    that of a registry (`012345678901.dkr.ecr.us-east-1.amazonaws.com/app`). None for what can be no name."""
    first, _, rest = name.partition("/")
    named = registry(first)
    found = Place(account, region, name) if named is None else Place(*named, rest)
    return found if REPOSITORY.fullmatch(found.repository) else None


def read(uri: str, account: str, region: str, hosts: frozenset[str] = frozenset()) -> Reference | None:
    """What an image's URI means here: `HOST/NAME[:TAG][@DIGEST]`, of the account and region that AWS's kind of host
    names (or the name's first part behind another host); behind one of `hosts` (the server's own, with their ports), of
    these. Without tag and digest it is the tag `latest`; a digest wins over a tag. None for what is no reference, and
    for one that other registries serve."""
    name, _, digest = uri.partition("@")
    host, _, name = name.partition("/")
    head, colon, tag = name.rpartition(":")
    name = head if colon else name
    if not name or not _ELSEWHERE.fullmatch(host):
        return None
    named = registry(host)
    if named is None and host not in hosts:
        return None
    found = place(name, *(named or (account, region)))
    reference = digest or (tag if colon else _DEFAULT_TAG)
    usable = DIGEST.fullmatch(digest) if digest else TAG.fullmatch(reference)
    return Reference(found, reference) if found is not None and usable else None
