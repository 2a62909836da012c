"""What sessions for whom an identity provider vouches have in common, whatever the proof is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, MalformedPolicy, Policy, Standing, decide, parse
from clary.auth.principals import Principal
from clary.contract.instance import Credentials
from clary.errors import ServiceError
from clary.services.iam import errors, shapes
from clary.services.operation import Call, Document
from clary.services.sts import sessions, terms
from clary.services.sts.assuming import check_longest
from clary.services.sts.terms import Keys
from clary.store import records
from clary.store.records import Record


class Vouched(NamedTuple):
    """Somebody (`principal`, with the provider's ARN) as he is let into a role by `action`. `keys` are the condition
    keys of the proof, `noted` those that his session keeps."""

    action: str
    principal: Principal
    keys: Keys
    noted: Keys


def enter(
    connection: Connection, call: Call, asked: Document, vouched: Vouched, seconds: int, ends: float | None = None
) -> tuple[Credentials, Principal]:
    """A session of the role in `asked` (as for AssumeRole, with what the proof adds), and who it is. It lasts `seconds`
    or until `ends`, whichever comes first. Raises ServiceError."""
    keys: Keys = {**vouched.keys, **terms.request_keys(asked, None)}
    role = _trusting(connection, asked["RoleArn"], vouched, keys)
    check_longest(role, seconds)
    agreed = terms.of_request(connection, asked, role.account, context=vouched.noted)
    session = sessions.role_principal(role, asked["RoleSessionName"])
    now = call.platform.clock.now()
    lasting = seconds if ends is None else min(seconds, ends - now)
    return sessions.write_session(connection, call.platform.secrets, session, role, now, lasting, agreed), session


def answer(made: Credentials, session: Principal, asked: Document) -> Document:
    """What the answers have in common."""
    user = {"AssumedRoleId": session.user_id, "Arn": session.arn}
    shown: Document = {"Credentials": terms.shown(made), "AssumedRoleUser": user}
    share = terms.packed(asked)
    if share:
        shown["PackedPolicySize"] = share
    if "SourceIdentity" in asked:
        shown["SourceIdentity"] = asked["SourceIdentity"]
    return shown


def _trusting(connection: Connection, arn: str, vouched: Vouched, keys: Mapping[str, Sequence[str]]) -> Record:
    """The role, if it lets in whom the provider vouches for. Raises AccessDenied."""
    role = _role(connection, arn, vouched.principal.account)
    if role is not None:
        policy = _trust(role)
        standing = Standing(resource=policy, resource_account=role.account, resource_decides=True)
        actions = [vouched.action]
        actions += ["sts:TagSession"] * ("aws:tagkeys" in keys)
        actions += ["sts:SetSourceIdentity"] * ("sts:sourceidentity" in keys)
        if all(decide(Ask(vouched.principal, action, arn, keys), standing).allowed for action in actions):
            return role
    raise denied(vouched.action)


def require_named(call: Call, arn: str, provider: Record, action: str) -> None:
    """That the role's trust names the provider. Raises AccessDenied."""
    role = call.platform.stores.records.read(lambda connection: _role(connection, arn, provider.account))
    policy = None if role is None else _trust(role)
    somebody = Principal("federated", provider.account, provider.arn, "")
    for statement in policy.about(action) if policy is not None else ():
        if statement.allow and statement.whom is not None and statement.whom.reach(somebody, allow=True):
            return
    raise denied(action)


def _role(connection: Connection, arn: str, account: str) -> Record | None:
    role = records.by_arn(connection, arn)
    return role if role is not None and (role.kind, role.account) == (shapes.ROLE, account) else None


def _trust(role: Record) -> Policy | None:
    try:
        return parse(role.document["AssumeRolePolicyDocument"], role.arn)
    except MalformedPolicy:
        return None


def denied(action: str) -> ServiceError:
    return errors.denied(f"Not authorized to perform {action}")


def invalid(message: str) -> ServiceError:
    """The proof is none."""
    return ServiceError("InvalidIdentityToken", message, 400)
