"""S3's errors: code, status, wording and members."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from clary.errors import ServiceError


def access_denied() -> ServiceError:
    return ServiceError("AccessDenied", "Access Denied", 403)


def no_such_bucket(bucket: str) -> ServiceError:
    return ServiceError("NoSuchBucket", "The specified bucket does not exist", 404, {"BucketName": bucket})


def no_such_key(key: str) -> ServiceError:
    return ServiceError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key})


def delete_marker(key: str, version: str) -> ServiceError:
    """The newest version of the key is a marker."""
    headers = {"x-amz-delete-marker": "true", "x-amz-version-id": version}
    return ServiceError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key}, headers)


def marker_named(version: str, modified: float) -> ServiceError:
    """The version that was asked for is a marker."""
    message = "The specified method is not allowed against this resource."
    headers = {
        "x-amz-delete-marker": "true",
        "x-amz-version-id": version,
        "Allow": "DELETE",
        "Last-Modified": formatdate(modified, usegmt=True),
    }
    return ServiceError("MethodNotAllowed", message, 405, {"Method": "GET", "ResourceType": "DeleteMarker"}, headers)


def no_such_upload(upload: str) -> ServiceError:
    message = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed."
    )
    return ServiceError("NoSuchUpload", message, 404, {"UploadId": upload})


def invalid_part(upload: str, number: int, etag: str) -> ServiceError:
    message = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag."
    )
    members = {"UploadId": upload, "PartNumber": number, "ETag": etag.strip('"')}
    return ServiceError("InvalidPart", message, 400, members)


def part_too_small(number: int, size: int, least: int, etag: str) -> ServiceError:
    members = {"ProposedSize": size, "MinSizeAllowed": least, "PartNumber": number, "ETag": etag}
    message = "Your proposed upload is smaller than the minimum allowed size"
    return ServiceError("EntityTooSmall", message, 400, members)


def no_such_version(key: str, version: str) -> ServiceError:
    members = {"Key": key, "VersionId": version}
    return ServiceError("NoSuchVersion", "The specified version does not exist.", 404, members)


def precondition_failed(condition: str) -> ServiceError:
    message = "At least one of the pre-conditions you specified did not hold"
    return ServiceError("PreconditionFailed", message, 412, {"Condition": condition})


def not_modified(etag: str) -> ServiceError:
    return ServiceError("NotModified", "Not Modified", 304, {"ETag": f'"{etag}"'})


def invalid_argument(message: str, name: str, value: Any) -> ServiceError:
    return ServiceError("InvalidArgument", message, 400, {"ArgumentName": name, "ArgumentValue": str(value)})


def invalid_request(message: str) -> ServiceError:
    return ServiceError("InvalidRequest", message)


def malformed_xml() -> ServiceError:
    message = "The XML you provided was not well-formed or did not validate against our published schema"
    return ServiceError("MalformedXML", message)


def not_implemented(option: str) -> ServiceError:
    message = (
        f"A header you provided implies functionality that is not implemented: {option} is not built in Clary yet. "
        "Leave it out, or see docs/reference/compatibility.md."
    )
    return ServiceError("NotImplemented", message, 501, {"Header": option})


def disk_full() -> ServiceError:
    message = "The disk that holds this server's objects is full. Free some space and try again."
    return ServiceError("InsufficientStorage", message, 507)
