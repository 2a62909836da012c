"""Images of repositories, which SageMaker fetches as an execution role: whether the role may."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.context import Platform
from clary.services.access import ecr, passing
from clary.services.access.authority import Authority
from clary.services.iam import shapes
from clary.services.sts.sessions import role_principal
from clary.store import records
from clary.wire.messages import Headers, Request

_SESSION = "SageMaker"  # the name that its sessions have, those of jobs too


def lacking(platform: Platform, role: str, repository: str) -> str:
    """The first action that fetching an image of the repository needs and `role` may not take, by its own policies or
    the repository's; "" when it may fetch. Both are ARNs. What counts is what is stored now. Raises
    ValidationException where there is no such role."""
    stores, region = platform.stores, repository.split(":", 4)[3]
    principal = stores.records.read(lambda connection: _session(connection, role))
    request = Request("POST", "/", Headers(), scheme="https")  # SageMaker's own, on whose way there is no network
    caller = Authority(stores.records, stores.objects, platform.clock).caller(principal, request, region)
    for wanted in ecr.pulled(stores.objects, repository):
        if not caller.decide(wanted.action, wanted.resource, wanted.context).allowed:
            return wanted.action
    return ""


def _session(connection: Connection, role: str) -> Principal:
    found = records.by_arn(connection, role)
    if found is None or found.kind != shapes.ROLE:
        raise passing.refused(role)
    return role_principal(found, _SESSION)
