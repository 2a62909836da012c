"""Why an instance failed, in the words that clients read as FailureReason."""

from __future__ import annotations

import errno
from pathlib import Path

from clary.agent.refusals import S3Error

LONGEST = 1024  # characters of a FailureReason
OUT_OF_MEMORY = "Out of memory: the job needed more than its instance type has. Please use a larger instance type."
NO_SPACE = "No space left on the instance's volume. Please free disk space on this machine."
_CLASSES = ("AlgorithmError:", "ClientError:", "InternalServerError:")


class ClientFailure(Exception):
    """Something in the request or its data; the message says what to change."""


class AlgorithmFailure(Exception):
    """Something in the user's code; the message is its own."""


class InternalFailure(Exception):
    """Something of ours."""


def no_space(error: Exception) -> bool:
    """Whether a full disk is what went wrong."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def of_job(failure_file: Path, status: int, hint: str) -> str:
    """From what the job left in /opt/ml/output/failure and its exit status. A class at the start of the file is kept;
    `hint` is what the agent knows of the end of a job that left nothing."""
    text = _read(failure_file)
    kind = next((each for each in _CLASSES if text.startswith(each)), "AlgorithmError:")
    text = text.removeprefix(kind).strip()
    text = text or hint.removesuffix(".")
    end = f", exit code: {status}"
    return f"{kind} {text}"[: LONGEST - len(end)] + end


def of_error(error: Exception) -> str:
    """From what went wrong in the agent itself."""
    match error:
        case ClientFailure():
            text = f"ClientError: {error}"
        case AlgorithmFailure():
            text = f"AlgorithmError: {error}"
        case InternalFailure():
            text = f"InternalServerError: {error}"
        case OSError() if no_space(error):
            text = f"ClientError: {NO_SPACE}"
        case _:
            text = f"InternalServerError: {type(error).__name__}: {error}"
    return text[:LONGEST]


def of_download(error: S3Error, what: str, uri: str) -> ClientFailure | InternalFailure:
    """`what` names the thing in the client's words ("Data", "Model data")."""
    if error.status >= 500:
        return InternalFailure(f"{what} download failed:{error} ({uri})")
    return ClientFailure(f"{what} download failed:{error} ({uri}). {_advice(error)}")


def of_upload(error: S3Error, uri: str) -> ClientFailure | InternalFailure:
    if error.status >= 500:
        return InternalFailure(f"Artifact upload failed:{error} ({uri})")
    return ClientFailure(f"Artifact upload failed:{error} ({uri}). {_advice(error)}")


def _advice(error: S3Error) -> str:
    if error.code.startswith("KMS."):
        return "Please ensure that the KMS key is there and enabled, and that the role may use it."
    match error.code:
        case "NoSuchBucket":
            return "Please ensure that the bucket exists."
        case "NoSuchKey":
            return "Please ensure that the object exists."
        case "AccessDenied":
            return "Please ensure that the role's policies allow this access."
        case "ObjectChanged":
            return "Please ensure that input objects do not change while a job reads them."
    return "Please check the S3 URI and the role's permissions."


def _read(path: Path) -> str:
    """The first LONGEST characters; "" when there is no such regular file. A link is not followed, nor is a folder that
    became one: the job made it."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        text = file.read(LONGEST * 4).decode("utf-8", "replace")[:LONGEST].strip()
    # control characters have no place in the XML, logs and terminals that show it
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)
