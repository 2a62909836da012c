"""Policies of repositories and of registries, as they come in, are stored, and are told."""

from __future__ import annotations

import dataclasses
import functools

from clary.auth.policy import MalformedPolicy, Policy, parse, stored
from clary.errors import ServiceError
from clary.services.ecr import faults
from clary.services.iam import principals
from clary.services.operation import Call


def of_repository(call: Call, text: str) -> str:
    """As it is to be stored. A statement names no resource: it is the repository. Raises
    InvalidParameterException."""
    return _pinned(call, text, "repository", resources=False)


def of_registry(call: Call, text: str) -> str:
    """As it is to be stored. A statement says which repositories it is about. Raises InvalidParameterException."""
    return _pinned(call, text, "registry", resources=True)


def _pinned(call: Call, text: str, what: str, resources: bool) -> str:
    invalid = f"Invalid {what} policy provided"
    if not _is_one(text, resources):
        raise _refused(invalid)
    try:
        return call.platform.stores.records.read(lambda connection: principals.pin(connection, text))
    except principals.UnknownPrincipal:
        raise _refused(f"{invalid}: it names a principal who does not exist") from None


def _refused(why: str) -> ServiceError:
    return faults.invalid("PolicyText", why)


def _is_one(text: str, resources: bool) -> bool:
    try:
        policy = parse(text)
    except MalformedPolicy:
        return False
    return all(
        each.whom is not None
        and each.actions is not None
        and all(pattern.text == "*" or pattern.text.lower().startswith("ecr:") for pattern in each.actions.patterns)
        and (each.resources is not None) == resources
        for each in policy.statements
    )


def told(call: Call, text: str) -> str:
    return call.platform.stores.records.read(lambda connection: principals.show(connection, text))


def read(text: str | None, source: str) -> Policy | None:
    """What decides; None for none, and for one that an earlier release took and this one does not."""
    return None if text is None else stored(text, source)


@functools.lru_cache(256)  # of policies that compare by identity, which `read` remembers
def together(one: Policy, other: Policy) -> Policy:
    """What both say, as of one resource."""
    return dataclasses.replace(one, statements=(*one.statements, *other.statements))
