"""What a request for a session says that the session may do and is called: session policies, tags, source identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.engine import Connection

from clary.contract.instance import Credentials
from clary.errors import ServiceError
from clary.services.iam import documents, errors, shapes, standing
from clary.services.operation import Document
from clary.services.sts.sessions import Terms
from clary.store.records import Record

Keys = dict[str, Sequence[str]]  # condition keys, lower-cased, with their values

_PACKED_LIMIT = 2048  # characters of session policies and tags that AWS allows
_INLINE = "SessionPolicy"
_SOURCE_IDENTITY = "aws:sourceidentity"


def of_request(
    connection: Connection,
    given: Document,
    account: str,
    caller: Record | None = None,
    context: Mapping[str, Sequence[str]] | None = None,
) -> Terms:
    """`caller` is the record of the session that asks, None when none does: its transitive tags and its source identity
    go on. `context` are condition keys to note. Raises ServiceError."""
    tags = {tag["Key"]: tag["Value"] for tag in _checked_tags(given)}
    inherited = _inherited(caller)
    if {key.lower() for key in tags} & {key.lower() for key in inherited}:
        raise _invalid(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from "
            "the calling session."
        )
    noted = dict(context or {})
    identity = given.get("SourceIdentity") or _source_identity_of(caller)
    if identity:
        noted[_SOURCE_IDENTITY] = [identity]
    return Terms(
        policies=_policies(connection, given, account),
        tags={**inherited, **tags},
        transitive=[*inherited, *given.get("TransitiveTagKeys", ())],
        context=noted,
    )


def request_keys(given: Document, caller: Record | None) -> Keys:
    """The condition keys of a request for a role's session. Tags that the caller's session hands on are of the request
    as well."""
    tags = {**_inherited(caller), **{tag["Key"]: tag["Value"] for tag in given.get("Tags", ())}}
    keys: Keys = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    if tags:
        keys["aws:tagkeys"] = tuple(tags)
    for key, member in (("sts:externalid", "ExternalId"), ("sts:rolesessionname", "RoleSessionName")):
        if given.get(member):
            keys[key] = (given[member],)
    if given.get("TransitiveTagKeys"):
        keys["sts:transitivetagkeys"] = tuple(given["TransitiveTagKeys"])
    identity = given.get("SourceIdentity") or _source_identity_of(caller)
    if identity:
        keys["sts:sourceidentity"] = (identity,)
    return keys


def source_identity(context: Mapping[str, Sequence[str]]) -> str:
    """Of a session whose Terms have this `context`; empty when it has none. Once a session has one, every session that
    it opens has the same."""
    return str(context.get(_SOURCE_IDENTITY, ("",))[0])


def _source_identity_of(session: Record | None) -> str:
    return "" if session is None else source_identity(session.document["Context"])


def _inherited(session: Record | None) -> dict[str, str]:
    if session is None:
        return {}
    document = session.document
    return {key: document["Tags"][key] for key in document["TransitiveTagKeys"] if key in document["Tags"]}


def _checked_tags(given: Document) -> list[dict[str, str]]:
    tags: list[dict[str, str]] = given.get("Tags", [])
    keys = {tag["Key"].lower() for tag in tags}
    if len(keys) < len(tags):
        raise _invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if any(key.startswith("aws:") for key in keys):
        raise _invalid("Tag keys that begin with aws: are reserved for AWS use.")
    if not {key.lower() for key in given.get("TransitiveTagKeys", ())} <= keys:
        raise _invalid("The specified transitive tag key must be included in the requested tags.")
    return tags


def _policies(connection: Connection, given: Document, account: str) -> list[tuple[str, str]]:
    """As they are now: a session keeps the policies that it began with."""
    found = [(_INLINE, documents.check_identity(given["Policy"]))] if given.get("Policy") else []
    for each in given.get("PolicyArns", ()):
        text = standing.managed_text(connection, account, each["arn"])
        if text is None:
            raise errors.no_such(f"Policy {each['arn']} does not exist or is not attachable.")
        found.append((each["arn"], text))
    return found


def packed(given: Document) -> int:
    """Per cent of the room for session policies and tags that is taken. Raises PackedPolicyTooLarge."""
    taken = len(given.get("Policy") or "")
    taken += sum(len(each["arn"]) for each in given.get("PolicyArns", ()))
    taken += sum(len(tag["Key"]) + len(tag["Value"]) for tag in given.get("Tags", ()))
    share = -(-taken * 100 // _PACKED_LIMIT)
    if taken > _PACKED_LIMIT:
        message = f"Packed policy consumes {share}% of allotted space, please use smaller policy."
        raise ServiceError("PackedPolicyTooLarge", message, 400)
    return share


def shown(made: Credentials) -> Document:
    """A session's keys as answers tell them."""
    return {
        "AccessKeyId": made.access_key,
        "SecretAccessKey": made.secret_key,
        "SessionToken": made.session_token,
        "Expiration": shapes.when(made.expires),
    }


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", message, 400)
