"""What IAM says of a principal: every policy that speaks of it, and the facts that conditions ask for.

Only what is stored: nothing is evaluated here, and no policy is parsed. The answer stays true for as long as
`generation.current` stays the same: keep it by (`principal.arn`, `principal.access_key`, generation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.engine import Connection

from clary.auth.principals import Principal
from clary.services.iam import managed, shapes
from clary.services.sts import sessions
from clary.store import records
from clary.store.records import Record

Source = Literal["managed", "inline", "session"]

# In the place of a policy that is named and is not there (none of IAM's operations leaves that behind): nothing then.
_NOTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'


@dataclass(frozen=True, slots=True)
class PolicyText:
    """One policy as it is stored. `name` is the ARN of a managed policy and the name of an inline one; `owner` is the
    ARN of the user, group, role or session that it comes by."""

    source: Source
    name: str
    owner: str
    text: str


@dataclass(frozen=True, slots=True)
class Identity:
    """`arn` is the IAM user's or role's behind the principal (what aws:PrincipalArn says), empty where there is none.

    `policies` are those attached to and written into the user, its groups, or the role. `boundary` is its permissions
    boundary. `session` is None when the session brought no policies, else those that narrow it; of a federated user's
    session that brought none it is empty: such a session may do nothing by its own.
    `tags` are aws:PrincipalTag's: the user's or role's, and over them the session's. `issued` is when the session
    began, epoch seconds (aws:TokenIssueTime), None for long-term keys. `context` are further condition keys of the
    session (lower case), as aws:SourceIdentity and aws:FederatedProvider.
    """

    arn: str
    policies: Sequence[PolicyText] = ()
    boundary: PolicyText | None = None
    session: Sequence[PolicyText] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    issued: float | None = None
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


# What a session that the account's root opened for a federated user is narrowed from.
_EVERYTHING = (
    PolicyText(
        "inline",
        "root",
        "",
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    ),
)


def identity_of(connection: Connection, principal: Principal) -> Identity:
    """Of any principal; of root, services and anonymous callers it has no policies, because IAM keeps none for them."""
    session = sessions.find(connection, principal.access_key) if principal.access_key.startswith("ASIA") else None
    owner = _owner(connection, principal, session)
    found = Identity("") if owner is None else identity_at(connection, owner)
    return found if session is None else _narrowed(found, principal, session)


def identity_at(connection: Connection, owner: Record) -> Identity:
    """Of a user or a role itself, as a simulation asks: with a long-term key, outside of any session."""
    tags = {tag["Key"]: tag["Value"] for tag in owner.document["Tags"]}
    return Identity(owner.arn, tuple(_policies(connection, owner)), _boundary(connection, owner), tags=tags)


def _owner(connection: Connection, principal: Principal, session: Record | None) -> Record | None:
    """The user or role whose policies count."""
    if session is not None:
        return records.by_arn(connection, session.parent) if session.parent is not None else None
    if principal.kind == "user":
        return records.by_arn(connection, principal.arn)
    if principal.kind == "role-session":
        return records.by_arn(connection, f"arn:aws:iam::{principal.account}:role/{principal.role}")
    return None


def _narrowed(found: Identity, principal: Principal, session: Record) -> Identity:
    given = session.document
    narrowing = tuple(PolicyText("session", each["Name"], principal.arn, each["Text"]) for each in given["Policies"])
    federated = principal.kind == "federated-user"
    return Identity(
        found.arn,
        _EVERYTHING if federated and session.parent is None else found.policies,
        found.boundary,
        narrowing if narrowing or federated else None,
        {**found.tags, **given["Tags"]},
        session.created,
        given["Context"],
    )


def _policies(connection: Connection, owner: Record) -> Iterator[PolicyText]:
    for entity in (owner, *_groups(connection, owner)):
        document = entity.document
        for name, text in document["InlinePolicies"].items():
            yield PolicyText("inline", name, entity.arn, text)
        for arn in document["AttachedPolicies"]:
            yield _managed(connection, entity, arn)


def _groups(connection: Connection, owner: Record) -> Iterable[Record]:
    for name in owner.document.get("Groups", ()):
        group = records.find(connection, shapes.GROUP, owner.account, shapes.REGION, name)
        if group is not None:
            yield group


def _boundary(connection: Connection, owner: Record) -> PolicyText | None:
    arn = owner.document.get("PermissionsBoundary")
    return None if arn is None else _managed(connection, owner, arn)


def managed_text(connection: Connection, account: str, arn: str) -> str | None:
    """The default version of a managed policy, of AWS's or the account's own; None when there is none."""
    known = managed.find(arn)
    if known is not None:
        return known.document
    record = records.by_arn(connection, arn)
    if record is None or (record.kind, record.account) != (shapes.POLICY, account):
        return None
    text: str = record.document["Versions"][record.document["DefaultVersionId"]]["Document"]
    return text


def _managed(connection: Connection, owner: Record, arn: str) -> PolicyText:
    return PolicyText("managed", arn, owner.arn, managed_text(connection, owner.account, arn) or _NOTHING)
