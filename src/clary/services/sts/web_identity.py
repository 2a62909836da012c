"""AssumeRoleWithWebIdentity: a session for whom an OpenID Connect provider of the role's account vouches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from clary.auth.policy import Ask, MalformedPolicy, Policy, Standing, decide, parse
from clary.auth.principals import Principal
from clary.contract.instance import Credentials
from clary.errors import ServiceError
from clary.services.iam import errors, oidc_providers, shapes
from clary.services.operation import Call, Document, Operations
from clary.services.sts import issuers, json_web_tokens, sessions, terms
from clary.services.sts.assuming import check_longest
from clary.services.sts.json_web_tokens import InvalidToken, Token
from clary.services.sts.terms import Keys
from clary.store import records
from clary.store.records import Record

operations = Operations()

_ACTION = "sts:AssumeRoleWithWebIdentity"
_LEEWAY_SECONDS = 60.0  # by which an issuer's clock may be ahead
_TAGS = "https://aws.amazon.com/tags"
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"


@dataclass(frozen=True, slots=True)
class _Vouched:
    """What a verified token says. `context` are the condition keys of its claims."""

    provider: Record
    subject: str
    audience: str
    context: Keys
    given: Document  # the session's tags and source identity, as AssumeRole would be given them


@operations.handles("AssumeRoleWithWebIdentity")
def assume_role_with_web_identity(call: Call, given: Document) -> Document:
    if given.get("ProviderId"):
        raise errors.not_built("AssumeRoleWithWebIdentity", "ProviderId")
    vouched = _vouched(call, given)
    asked = {**given, **vouched.given}
    share = terms.packed(asked)
    principal = Principal("federated", vouched.provider.account, vouched.provider.arn, vouched.subject)

    keys: Keys = {**vouched.context, **terms.request_keys(asked, None)}

    def work(connection: Connection) -> tuple[Credentials, Principal]:
        role = _trusting(connection, given["RoleArn"], principal, keys)
        seconds = given.get("DurationSeconds", 3600)
        check_longest(role, seconds)
        noted = {"aws:federatedprovider": [vouched.provider.arn]}
        agreed = terms.of_request(connection, asked, role.account, context=noted)
        session = sessions.role_principal(role, given["RoleSessionName"])
        secrets, now = call.platform.secrets, call.platform.clock.now()
        return sessions.write_session(connection, secrets, session, role, now, seconds, agreed), session

    made, session = call.platform.stores.records.write(work)
    answer: Document = {**_answer(vouched, session), "Credentials": terms.shown(made)}
    if share:
        answer["PackedPolicySize"] = share
    if "SourceIdentity" in asked:
        answer["SourceIdentity"] = asked["SourceIdentity"]
    return answer


def _answer(vouched: _Vouched, session: Principal) -> Document:
    return {
        "SubjectFromWebIdentityToken": vouched.subject,
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        "Provider": vouched.provider.arn,
        "Audience": vouched.audience,
    }


def _trusting(connection: Connection, arn: str, principal: Principal, keys: Mapping[str, Sequence[str]]) -> Record:
    """The role, if it lets in whom the provider vouches for. Raises AccessDenied."""
    role = _role(connection, arn, principal.account)
    if role is not None:
        policy = _trust(role)
        standing = Standing(resource=policy, resource_account=role.account, resource_decides=True)
        actions = [_ACTION]
        actions += ["sts:TagSession"] * ("aws:tagkeys" in keys)
        actions += ["sts:SetSourceIdentity"] * ("sts:sourceidentity" in keys)
        if all(decide(Ask(principal, action, arn, keys), standing).allowed for action in actions):
            return role
    raise _denied()


def _role(connection: Connection, arn: str, account: str) -> Record | None:
    role = records.by_arn(connection, arn)
    return role if role is not None and (role.kind, role.account) == (shapes.ROLE, account) else None


def _trust(role: Record) -> Policy | None:
    try:
        return parse(role.document["AssumeRolePolicyDocument"], role.arn)
    except MalformedPolicy:
        return None


def _require_named(call: Call, arn: str, provider: Record) -> None:
    """That the role's trust names the provider: else nobody's token has its issuer asked. Raises AccessDenied."""
    role = call.platform.stores.records.read(lambda connection: _role(connection, arn, provider.account))
    policy = None if role is None else _trust(role)
    somebody = Principal("federated", provider.account, provider.arn, "")
    for statement in policy.about(_ACTION) if policy is not None else ():
        if statement.allow and statement.whom is not None and statement.whom.reach(somebody, allow=True):
            return
    raise _denied()


def _denied() -> ServiceError:
    return errors.denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")


def _vouched(call: Call, given: Document) -> _Vouched:
    """Raises ServiceError: the token is not one that is valid now, or of no provider of the role's account."""
    try:
        token = json_web_tokens.read(given["WebIdentityToken"])
    except InvalidToken:
        message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        raise _invalid(message) from None
    provider = _provider(call, given["RoleArn"], token)
    _require_named(call, given["RoleArn"], provider)
    try:
        json_web_tokens.verify(token, issuers.keys(provider.document["Url"]))
    except issuers.IssuerSilent:
        raise _invalid(
            "Couldn't retrieve verification key from your identity provider,  please reference "
            "AssumeRoleWithWebIdentity documentation for requirements"
        ) from None
    except InvalidToken:
        raise _invalid("The ID Token provided is not signed by its issuer.") from None
    _check_time(token, call.platform.clock.now())
    audience = _audience(token, provider)
    subject = token.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise _invalid("The ID Token provided names no subject.")
    return _Vouched(provider, subject, audience, _context(token, provider, audience), _session(token.claims))


def _provider(call: Call, role_arn: str, token: Token) -> Record:
    issuer = str(token.claims.get("iss", "")).rstrip("/")
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
    arn = oidc_providers.provider_arn(account, issuer)
    record = call.platform.stores.records.read(lambda connection: records.by_arn(connection, arn))
    if record is None or record.kind != shapes.OIDC_PROVIDER or record.document["Url"] != issuer:
        raise _invalid(f"No OpenIDConnect provider found in your account for {token.claims.get('iss', '')}")
    return record


def _check_time(token: Token, now: float) -> None:
    expires, begins = token.claims.get("exp"), token.claims.get("nbf", token.claims.get("iat", 0))
    if not isinstance(expires, int | float) or not isinstance(begins, int | float):
        raise _invalid("The ID Token provided does not say when it expires.")
    if expires <= now:
        raise ServiceError(
            "ExpiredTokenException",
            f"Token expired: current date/time {int(now)} must be before the expiration date/time {int(expires)}",
            400,
        )
    if begins > now + _LEEWAY_SECONDS:
        raise _invalid("The ID Token provided is not valid yet.")


def _audience(token: Token, provider: Record) -> str:
    """The client that the token was made for: of several, the one that says so (azp)."""
    named = token.claims.get("aud", [])
    audiences = [named] if isinstance(named, str) else named
    authorised = token.claims.get("azp")
    wanted = [authorised] if isinstance(authorised, str) else audiences
    for audience in wanted if isinstance(wanted, list) else ():
        if audience in provider.document["ClientIDList"]:
            return str(audience)
    raise _invalid("Incorrect token audience")


def _context(token: Token, provider: Record, audience: str) -> Keys:
    """Claims as condition keys, under the provider's name."""
    name = provider.document["Url"].partition("://")[2].lower()
    keys: Keys = {f"{name}:aud": (audience,), "aws:federatedprovider": (provider.arn,)}
    for claim in ("sub", "amr", "email", "oaud"):
        value = token.claims.get(claim)
        if isinstance(value, str):
            keys[f"{name}:{claim}"] = (value,)
        elif isinstance(value, list):
            keys[f"{name}:{claim}"] = tuple(str(each) for each in value)
    return keys


def _session(claims: Mapping[str, Any]) -> Document:
    """Tags and source identity that the provider gives the session. Raises InvalidIdentityToken."""
    found: Document = {}
    try:
        tags = claims.get(_TAGS, {})
        given = {str(key): str(values[0]) for key, values in tags.get("principal_tags", {}).items()}
        transitive = [str(key) for key in tags.get("transitive_tag_keys", ())]
    except (AttributeError, IndexError, KeyError, TypeError):
        raise _invalid("The tags in the ID Token provided are not as AWS has them.") from None
    if given:
        found = {"Tags": [{"Key": key, "Value": value} for key, value in given.items()]}
        found["TransitiveTagKeys"] = transitive
    if isinstance(claims.get(_SOURCE_IDENTITY), str):
        found["SourceIdentity"] = claims[_SOURCE_IDENTITY]
    return found


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidIdentityToken", message, 400)
