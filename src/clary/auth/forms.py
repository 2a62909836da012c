"""The proof of an upload by an HTML form, among its fields: a signed policy document. Nothing else of it is signed, so
whoever verified it has to hold the form to the policy (`clary.auth.post_policy`). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from clary.auth import claims, refusals
from clary.auth.principals import Credential
from clary.auth.sigv4 import check_token, derive
from clary.errors import ServiceError

FormScheme = Literal["sigv4-form", "sigv2-form"]
Fields = Mapping[str, str]  # by lower-cased name

_V4 = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature")
_V2 = ("AWSAccessKeyId", "Signature")
_SERVICE: Final = "s3"


@dataclass(frozen=True, slots=True)
class FormClaim:
    """`date` and `region` are the credential scope, empty where the scheme has none."""

    scheme: FormScheme
    access_key: str
    signature: str
    policy: str
    token: str
    date: str = ""
    region: str = ""


def schemes_of(fields: Fields) -> list[FormScheme]:
    """The schemes of which a form carries a proof, or a part of one."""
    by_scheme: tuple[tuple[FormScheme, tuple[str, ...]], ...] = (("sigv4-form", _V4), ("sigv2-form", _V2))
    return [scheme for scheme, names in by_scheme if any(name.lower() in fields for name in names)]


def claimed(fields: Fields, scheme: FormScheme) -> FormClaim:
    """Raises ServiceError when something is missing or malformed."""
    for name in (*(_V4 if scheme == "sigv4-form" else _V2), "policy"):
        if not fields.get(name.lower()):
            raise missing(name)
    policy, token = fields["policy"], fields.get("x-amz-security-token", "")
    if scheme == "sigv2-form":
        return FormClaim(scheme, fields["awsaccesskeyid"], fields["signature"], policy, token)
    if fields["x-amz-algorithm"] != claims.ALGORITHM:
        raise _invalid(f'X-Amz-Algorithm only supports "{claims.ALGORITHM}"', "X-Amz-Algorithm", fields)
    access_key, date, region = _credential(fields)
    if claims.parse_stamp(fields["x-amz-date"]) is None or fields["x-amz-date"][:8] != date:
        message = "X-Amz-Date must be in the ISO8601 Long Format, of the day that the credential names"
        raise _invalid(message, "X-Amz-Date", fields)
    return FormClaim(scheme, access_key, fields["x-amz-signature"], policy, token, date, region)


def _credential(fields: Fields) -> tuple[str, str, str]:
    parts = fields["x-amz-credential"].rsplit("/", 4)
    scoped = len(parts) == 5 and parts[3:] == [_SERVICE, "aws4_request"] and claims.is_region(parts[2])
    if not scoped or not parts[0]:
        message = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request".'
        raise _invalid(message, "X-Amz-Credential", fields)
    return parts[0], parts[1], parts[2]


def check(claim: FormClaim, credential: Credential, now: float) -> None:
    """The session token and the signature. Raises ServiceError."""
    check_token(credential, claim.token, _SERVICE, now)
    text = claim.policy.encode()
    if claim.scheme == "sigv4-form":
        key = derive(credential.secret_key, claim.date, claim.region, _SERVICE)
        wanted = hmac.digest(key, text, "sha256").hex()
    else:
        wanted = base64.b64encode(hmac.digest(credential.secret_key.encode(), text, hashlib.sha1)).decode()
    if not hmac.compare_digest(wanted.encode(), claim.signature.encode()):
        raise refusals.mismatch(_SERVICE, claim.access_key, claim.signature, b"", text)


def missing(name: str) -> ServiceError:
    """A field that the form needs."""
    message = (
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    )
    return ServiceError("InvalidArgument", message, 400, {"ArgumentName": name, "ArgumentValue": ""})


def _invalid(message: str, name: str, fields: Fields) -> ServiceError:
    members = {"ArgumentName": name, "ArgumentValue": fields[name.lower()]}
    return ServiceError("InvalidArgument", message, 400, members)
