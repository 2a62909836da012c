"""Errors as the registry's clients read them: a status, and a JSON document with a code of the specification."""

from __future__ import annotations

import errno
import json

from clary.errors import ServiceError
from clary.objects.damage import Damaged
from clary.registry.manifests import MalformedManifest
from clary.registry.repositories import RepositoryGone
from clary.registry.uploads import NoSuchUpload, OutOfOrder, WrongDigest
from clary.services.ecr.distribution.asked import VERSION
from clary.wire.messages import Response

# Of ECR's codes, and those of the gate and the authority: (code of the specification, status).
_CODES = {
    "AccessDeniedException": ("DENIED", 403),
    "ImageTagAlreadyExistsException": ("TAG_INVALID", 400),
    "LayersNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "ReferencedImagesNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "RepositoryNotFoundException": ("NAME_UNKNOWN", 404),
    "RequestTimeout": ("TOOMANYREQUESTS", 408),
    "ServiceUnavailable": ("TOOMANYREQUESTS", 503),
    "SlowDown": ("TOOMANYREQUESTS", 429),
}
# What the rooms below raise: (code of the specification, status, message).
_RAISED = (
    (NoSuchUpload, "BLOB_UPLOAD_UNKNOWN", 404, "There is no upload {} in the repository"),
    (OutOfOrder, "BLOB_UPLOAD_INVALID", 416, "The part begins in the wrong place: {}"),
    (WrongDigest, "DIGEST_INVALID", 400, "The bytes that came have the digest {}"),
    (MalformedManifest, "MANIFEST_INVALID", 400, "The manifest cannot be kept: {}"),
    (Damaged, "UNKNOWN", 500, "It is damaged on the server's disk and is not given out: push it again ({})"),
    (RepositoryGone, "NAME_UNKNOWN", 404, "The repository {} was deleted"),
)
_CHALLENGE = ("WWW-Authenticate", 'Basic realm="Clary",service="ecr.amazonaws.com"')


def blob_unknown(digest: str) -> ServiceError:
    return ServiceError("BLOB_UNKNOWN", f"The layer {digest} is not in the repository", 404)


def digest_invalid(text: str) -> ServiceError:
    return ServiceError("DIGEST_INVALID", f"{text!r} is no digest sha256:<64 hexadecimal digits>", 400)


def unsupported(what: str) -> ServiceError:
    return ServiceError("UNSUPPORTED", what, 405)


def known(error: Exception) -> ServiceError | None:
    """What is raised in the house as an error that a client is told; None for a defect of ours."""
    if isinstance(error, ServiceError):
        code, status = _CODES.get(error.code, (error.code, error.status))
        return ServiceError(code, error.message, status, headers=error.headers)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "The disk that holds this server's objects is full. Free some space and try again."
        return ServiceError("UNKNOWN", message, 507)
    for kind, code, status, message in _RAISED:
        if isinstance(error, kind):
            there = {"Range": come(error.size)} if isinstance(error, OutOfOrder) else {}
            return ServiceError(code, message.format(error), status, headers=there)
    return None


def come(size: int) -> str:
    """What came of an upload, as a Range header says it: from 0 to the last byte."""
    return f"0-{max(0, size - 1)}"


def told(error: ServiceError, head: bool) -> Response:
    """The answer; to HEAD without its document."""
    document = {"errors": [{"code": error.code, "message": error.message, "detail": None}]}
    body = json.dumps(document).encode()
    headers = [VERSION, *error.headers.items(), *([_CHALLENGE] if error.status == 401 else [])]
    headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return Response(error.status, headers, b"" if head else body)
