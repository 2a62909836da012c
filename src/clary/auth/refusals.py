"""How the gate says no: AWS's codes, statuses and wording, which differ between S3, query and JSON services."""

from __future__ import annotations

import time
from typing import Literal

from clary.errors import ServiceError

Family = Literal["json", "query", "s3"]


def family(signing_name: str, protocol: str) -> Family:
    """The family of errors of a service (by its signing name) spoken in `protocol` (botocore's name of it)."""
    if signing_name == "s3":
        return "s3"
    return "query" if protocol in ("query", "ec2", "rest-xml") else "json"


def basic_time(epoch: float) -> str:
    """Epoch seconds as SigV4 writes times: 20150830T123600Z."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(epoch))


def extended_time(epoch: float) -> str:
    """Epoch seconds as S3's errors write times: 2015-08-30T12:36:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def missing_token(kind: Family) -> ServiceError:
    if kind == "s3":
        return ServiceError("AccessDenied", "Access Denied", 403)
    code = "MissingAuthenticationToken" if kind == "query" else "MissingAuthenticationTokenException"
    return ServiceError(code, "Request is missing Authentication Token", 403)


def two_proofs(kind: Family) -> ServiceError:
    """A request that carries credentials of two schemes, or one scheme's twice."""
    message = (
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
        "Signature query string parameter or the Authorization header should be specified"
    )
    if kind == "s3":
        return ServiceError("InvalidArgument", message, 400, {"ArgumentName": "Authorization"})
    return incomplete(kind, message)


def proof_outside_form() -> ServiceError:
    message = "The proof of an upload by a form belongs into the form's fields, not into its head or its URL."
    return ServiceError("InvalidRequest", message, 400)


def unsupported_scheme(kind: Family, authorization: str) -> ServiceError:
    if kind != "s3":
        return incomplete(kind, f"Unsupported authorization type: '{authorization.partition(' ')[0]}'")
    if authorization.startswith("AWS "):
        message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        return ServiceError("InvalidRequest", message, 400)
    return ServiceError("InvalidArgument", "Unsupported Authorization Type", 400, {"ArgumentName": "Authorization"})


def incomplete(kind: Family, message: str) -> ServiceError:
    """The Authorization header lacks something or is malformed."""
    if kind == "s3":
        return ServiceError("AuthorizationHeaderMalformed", f"The authorization header is malformed; {message}", 400)
    return ServiceError(*(("IncompleteSignatureException", message, 403) if kind == "json" else _incomplete(message)))


def incomplete_query(kind: Family, message: str) -> ServiceError:
    """The query parameters of a presigned URL lack something or are malformed."""
    if kind == "s3":
        return ServiceError("AuthorizationQueryParametersError", message, 400)
    return incomplete(kind, message)


def _incomplete(message: str) -> tuple[str, str, int]:
    return "IncompleteSignature", message, 400


def no_date(kind: Family) -> ServiceError:
    if kind == "s3":
        return ServiceError("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header", 403)
    return incomplete(kind, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")


def unknown_key(kind: Family, access_key: str) -> ServiceError:
    if kind == "s3":
        message = "The AWS Access Key Id you provided does not exist in our records."
        return ServiceError("InvalidAccessKeyId", message, 403, {"AWSAccessKeyId": access_key})
    return _invalid_token(kind)


def wrong_token(kind: Family) -> ServiceError:
    """The session token is missing, is another session's, or came with a long-term key."""
    if kind == "s3":
        return ServiceError("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
    return _invalid_token(kind)


def _invalid_token(kind: Family) -> ServiceError:
    code = "InvalidClientTokenId" if kind == "query" else "UnrecognizedClientException"
    return ServiceError(code, "The security token included in the request is invalid.", 403)


def expired_token(kind: Family) -> ServiceError:
    if kind == "s3":
        return ServiceError("ExpiredToken", "The provided token has expired.", 400)
    code = "ExpiredToken" if kind == "query" else "ExpiredTokenException"
    return ServiceError(code, "The security token included in the request is expired", 403)


def bad_signature(kind: Family, message: str) -> ServiceError:
    """Something signed is not as the service asks (SigV4 outside S3)."""
    code = "SignatureDoesNotMatch" if kind != "json" else "InvalidSignatureException"
    return ServiceError(code, message, 403)


def mismatch(kind: Family, access_key: str, signature: str, canonical: bytes, to_sign: bytes) -> ServiceError:
    """The signature is not the one that this request and this key's secret give."""
    wanted, base = canonical.decode("utf-8", "replace"), to_sign.decode("utf-8", "replace")
    if kind != "s3":
        message = (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.\n\n"
            f"The Canonical String for this request should have been\n'{wanted}'\n\n"
            f"The String-to-Sign should have been\n'{base}'\n"
        )
        return bad_signature(kind, message)
    members = {
        "AWSAccessKeyId": access_key,
        "StringToSign": base,
        "SignatureProvided": signature,
        "StringToSignBytes": to_sign.hex(" "),
    }
    if canonical:
        members |= {"CanonicalRequest": wanted, "CanonicalRequestBytes": canonical.hex(" ")}
    message = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method."
    )
    return ServiceError("SignatureDoesNotMatch", message, 403, members)


def skewed(kind: Family, at: float, now: float, window: float) -> ServiceError:
    """`at` is when the request says it was signed, further than `window` seconds from `now`."""
    if kind == "s3":
        members = {
            "RequestTime": basic_time(at),
            "ServerTime": extended_time(now),
            "MaxAllowedSkewMilliseconds": str(round(window * 1000)),
        }
        message = "The difference between the request time and the current time is too large."
        return ServiceError("RequestTimeTooSkewed", message, 403, members)
    word, bound, sign = ("expired", now - window, "-") if at < now else ("not yet current", now + window, "+")
    relation = "is now earlier than" if at < now else "is still later than"
    return bad_signature(
        kind,
        f"Signature {word}: {basic_time(at)} {relation} {basic_time(bound)} "
        f"({basic_time(now)} {sign} {window / 60:g} min.)",
    )


def url_expired(kind: Family, ended: float, now: float, asked: int | None = None) -> ServiceError:
    """A presigned URL was used after its time; `asked` is its X-Amz-Expires in seconds."""
    if kind == "s3":
        members = {"Expires": extended_time(ended), "ServerTime": extended_time(now)}
        if asked is not None:
            members["X-Amz-Expires"] = str(asked)
        return ServiceError("AccessDenied", "Request has expired", 403, members)
    return bad_signature(kind, f"Signature expired: {basic_time(ended)} is now earlier than {basic_time(now)}")


def url_early(kind: Family, at: float, now: float, window: float) -> ServiceError:
    if kind == "s3":
        return ServiceError("AccessDenied", "Request is not valid yet", 403, {"ServerTime": extended_time(now)})
    return skewed(kind, at, now, window)


def wrong_scope_service(kind: Family, given: str, wanted: str) -> ServiceError:
    if kind == "s3":
        return incomplete(kind, f'incorrect service "{given}". This endpoint belongs to "{wanted}".')
    return bad_signature(kind, f"Credential should be scoped to correct service: '{wanted}'. ")


def wrong_scope_region(kind: Family, given: str) -> ServiceError:
    if kind == "s3":
        return incomplete(kind, f"the region '{given}' is wrong")
    return bad_signature(kind, "Credential should be scoped to a valid region. ")


def wrong_scope_end(kind: Family, given: str) -> ServiceError:
    if kind == "s3":
        return incomplete(kind, f'incorrect terminal "{given}". This endpoint uses "aws4_request".')
    return bad_signature(kind, f"Credential should be scoped with a valid terminator: 'aws4_request', not '{given}'. ")


def wrong_scope_date(kind: Family, given: str, stamp: str) -> ServiceError:
    if kind == "s3":
        return incomplete(
            kind, f'Invalid credential date "{given}". This date is not the same as X-Amz-Date: "{stamp[:8]}".'
        )
    return bad_signature(
        kind,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'{given}' != '{stamp[:8]}', from '{stamp}'.",
    )


def host_unsigned(kind: Family) -> ServiceError:
    if kind == "s3":
        return headers_unsigned(kind, ["host"])
    return bad_signature(kind, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")


def headers_unsigned(kind: Family, names: list[str]) -> ServiceError:
    message = "There were headers present in the request which were not signed"
    if kind == "s3":
        return ServiceError("AccessDenied", message, 403, {"HeadersNotSigned": ", ".join(names)})
    return bad_signature(kind, f"{message}: {', '.join(names)}")


def too_large(limit: int) -> ServiceError:
    return ServiceError("RequestEntityTooLarge", f"The request body is larger than {limit} bytes.", 413)
