"""AssumeRoleWithWebIdentity: a session for whom an OpenID Connect provider of the role's account vouches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.auth.principals import Principal
from clary.errors import ServiceError
from clary.services.iam import errors, oidc_providers, shapes
from clary.services.operation import Call, Document, Operations
from clary.services.sts import federation, issuers, json_web_tokens, terms
from clary.services.sts.federation import Vouched, invalid
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
class _Proven:
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
    proven = _proven(call, given)
    asked = {**given, **proven.given}
    terms.packed(asked)  # refuses what is too large, before anything is written
    provider = proven.provider
    principal = Principal("federated", provider.account, provider.arn, proven.subject)
    vouched = Vouched(_ACTION, principal, proven.context, {"aws:federatedprovider": (provider.arn,)})
    seconds = given.get("DurationSeconds", 3600)
    made, session = call.platform.stores.records.write(
        lambda connection: federation.enter(connection, call, asked, vouched, seconds)
    )
    answer = federation.answer(made, session, asked)
    named = {"SubjectFromWebIdentityToken": proven.subject, "Provider": provider.arn, "Audience": proven.audience}
    return {**answer, **named}


def _proven(call: Call, given: Document) -> _Proven:
    """Raises ServiceError: the token is not one that is valid now, or of no provider of the role's account."""
    try:
        token = json_web_tokens.read(given["WebIdentityToken"])
    except InvalidToken:
        message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        raise invalid(message) from None
    provider = _provider(call, given["RoleArn"], token)
    federation.require_named(call, given["RoleArn"], provider, _ACTION)  # else nobody's token has its issuer asked
    try:
        json_web_tokens.verify(token, issuers.keys(provider.document["Url"]))
    except issuers.IssuerSilent:
        raise invalid(
            "Couldn't retrieve verification key from your identity provider,  please reference "
            "AssumeRoleWithWebIdentity documentation for requirements"
        ) from None
    except InvalidToken:
        raise invalid("The ID Token provided is not signed by its issuer.") from None
    _check_time(token, call.platform.clock.now())
    audience = _audience(token, provider)
    subject = token.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise invalid("The ID Token provided names no subject.")
    return _Proven(provider, subject, audience, _context(token, provider, audience), _session(token.claims))


def _provider(call: Call, role_arn: str, token: Token) -> Record:
    issuer = str(token.claims.get("iss", "")).rstrip("/")
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
    arn = oidc_providers.provider_arn(account, issuer)
    record = call.platform.stores.records.read(lambda connection: records.by_arn(connection, arn))
    if record is None or record.kind != shapes.OIDC_PROVIDER or record.document["Url"] != issuer:
        raise invalid(f"No OpenIDConnect provider found in your account for {token.claims.get('iss', '')}")
    return record


def _check_time(token: Token, now: float) -> None:
    expires, begins = token.claims.get("exp"), token.claims.get("nbf", token.claims.get("iat", 0))
    if not isinstance(expires, int | float) or not isinstance(begins, int | float):
        raise invalid("The ID Token provided does not say when it expires.")
    if expires <= now:
        raise ServiceError(
            "ExpiredTokenException",
            f"Token expired: current date/time {int(now)} must be before the expiration date/time {int(expires)}",
            400,
        )
    if begins > now + _LEEWAY_SECONDS:
        raise invalid("The ID Token provided is not valid yet.")


def _audience(token: Token, provider: Record) -> str:
    """The client that the token was made for: of several, the one that says so (azp)."""
    named = token.claims.get("aud", [])
    audiences = [named] if isinstance(named, str) else named
    authorised = token.claims.get("azp")
    wanted = [authorised] if isinstance(authorised, str) else audiences
    for audience in wanted if isinstance(wanted, list) else ():
        if audience in provider.document["ClientIDList"]:
            return str(audience)
    raise invalid("Incorrect token audience")


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
        raise invalid("The tags in the ID Token provided are not as AWS has them.") from None
    if given:
        found = {"Tags": [{"Key": key, "Value": value} for key, value in given.items()]}
        found["TransitiveTagKeys"] = transitive
    if isinstance(claims.get(_SOURCE_IDENTITY), str):
        found["SourceIdentity"] = claims[_SOURCE_IDENTITY]
    return found
