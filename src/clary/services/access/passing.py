"""Roles that SageMaker is to act as: whether they let it."""

from __future__ import annotations

import functools
import json

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, Policy, Side, Standing, decide, stored
from clary.auth.principals import Principal
from clary.errors import ServiceError, validation
from clary.store import records

SAGEMAKER = Principal("service", "", "sagemaker.amazonaws.com", "")
_ROLE = "iam-role"


def trust(connection: Connection, role: str) -> Side:
    """The side of a role that somebody wants to assume: what it trusts alone lets him in. Of one that is not there,
    nothing does."""
    found = records.text_by_arn(connection, role)
    if found is None or found.kind != _ROLE:
        return Side(decides=True)
    return Side(found.account, _trusted(found.document, role), decides=True)


def check(connection: Connection, role: str, account: str, resource: str) -> None:
    """That `role`, of `account`, is there and trusts SageMaker, which acts for `resource` (an ARN). Raises
    ValidationException."""
    side = trust(connection, role)
    context = {"aws:sourceaccount": (account,), "aws:sourcearn": (resource,)}
    standing = Standing(resource=side.policy, resource_account=side.account, resource_decides=True)
    if side.account != account or not decide(Ask(SAGEMAKER, "sts:AssumeRole", role, context), standing).allowed:
        raise refused(role)


def refused(role: str) -> ServiceError:
    return validation(
        f"Could not assume role {role}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )


@functools.lru_cache(256)  # pure, so never stale: who creates much passes the same roles again
def _trusted(document: str, role: str) -> Policy | None:
    """The trust policy in a role's document, which is JSON text."""
    return stored(json.loads(document).get("AssumeRolePolicyDocument", ""), role)
