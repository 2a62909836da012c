"""The story of a training job as its document tells it: SecondaryStatusTransitions, times, the ending. Pure functions
from document to document. Times are written as clients are told them, to the millisecond.

The list only grows, and exactly one entry is open while the job is not over; its message may change in place, and
clients print a line when it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from clary.contract.instance import ExitRecord, Phase
from clary.services.operation import Document
from clary.wire.scalars import write_epoch, write_float

STARTING = "Starting the training job"
PREPARING = "Preparing the instances for training"
DOWNLOADING_IMAGE = "Downloading the training image"
STOPPING = "Stopping the training job"

_MESSAGES = {
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": STOPPING,
    "Uploading": "Uploading generated training model",
}
_ENDINGS = {
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
_LONGEST_REASON = 1024
_CLASSES = ("AlgorithmError:", "ClientError:", "CapacityError:", "InternalServerError:")


def begin(now: float) -> Document:
    """What a new job's document has of it."""
    begun = {"Status": "Starting", "StartTime": write_epoch(now), "StatusMessage": STARTING}
    return {
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [begun],
    }


def enter(document: Document, status: str, at: float, message: str) -> Document:
    """Closes the open entry and opens the next."""
    *past, last = document["SecondaryStatusTransitions"]
    at = max(write_epoch(at), last["StartTime"])
    entry = {"Status": status, "StartTime": at, "StatusMessage": message}
    changed = {
        **document,
        "SecondaryStatus": status,
        "SecondaryStatusTransitions": [*past, {**last, "EndTime": at}, entry],
    }
    if status in ("Downloading", "Training"):
        changed.setdefault("TrainingStartTime", at)
    return changed


def say(document: Document, message: str) -> Document:
    """Changes the open entry's message."""
    *past, last = document["SecondaryStatusTransitions"]
    return {**document, "SecondaryStatusTransitions": [*past, {**last, "StatusMessage": message}]}


def wait(document: Document, reason: str, now: float) -> Document:
    """The job is in the queue for `reason`."""
    if document["SecondaryStatus"] == "Pending":
        return say(document, reason)
    return enter(document, "Pending", now, reason)


def follow(document: Document, phases: Iterable[Phase]) -> Document:
    """Enters what an agent reported, as often as it is told."""
    for phase in phases:
        now = document["SecondaryStatus"]
        seen = {entry["Status"] for entry in of_attempt(document)}
        if phase.name == now:
            if phase.message:
                document = say(document, phase.message)
        elif phase.name in _MESSAGES and phase.name not in seen and (now != "Stopping" or phase.name == "Uploading"):
            document = enter(document, phase.name, phase.at, phase.message or _MESSAGES[phase.name])
    return document


def of_attempt(document: Document) -> list[Document]:
    """The entries since the job began, or began anew."""
    entries: list[Document] = document["SecondaryStatusTransitions"]
    again = [at for at, entry in enumerate(entries) if entry["Status"] == "Restarting"]
    return entries[again[-1] :] if again else entries


def overdue(document: Document) -> bool:
    """Whether the job was begun to be stopped; of a job that nobody stopped, because its run time is over."""
    return any(entry["Status"] == "Stopping" for entry in document["SecondaryStatusTransitions"])


def end(document: Document, secondary: str, at: float, message: str = "") -> Document:
    """Closes the story with a last entry, and adds up the times. `at` is when the instances ended."""
    document = enter(document, secondary, at, message or _ENDINGS[secondary])
    *past, last = document["SecondaryStatusTransitions"]
    at = last["StartTime"]
    document = {
        **document,
        "SecondaryStatusTransitions": [*past, {**last, "EndTime": at}],
        "TrainingEndTime": at,
    }
    if "TrainingStartTime" in document:
        # Nothing is billed, but clients show it; waiting is no part of it, since it ends before the start.
        seconds = max(1, round(at - document["TrainingStartTime"]))
        document |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return document


def fail(document: Document, reason: str, at: float) -> Document:
    """Ends a job with a FailureReason, which always begins with its class."""
    if not reason.startswith(_CLASSES):
        reason = f"AlgorithmError: {reason}"
    reason = reason[:_LONGEST_REASON]
    return {**end(document, "Failed", at, reason), "FailureReason": reason}


def results(exits: Sequence[ExitRecord]) -> Document:
    """What the instances left: the model, once it is uploaded, and each metric's last value."""
    found: Document = {}
    model = next((each.model for each in exits if each.model), "")
    if model:
        found["ModelArtifacts"] = {"S3ModelArtifacts": model}
    metrics: dict[str, tuple[float, float]] = {}
    for each in exits:
        metrics |= each.metrics
    if metrics:
        found["FinalMetricDataList"] = [_metric(name, *metrics[name]) for name in sorted(metrics)]
    return found


def _metric(name: str, value: float, at: float) -> dict[str, Any]:
    told = value if math.isfinite(value) else write_float(value)  # JSON has no such numbers
    return {"MetricName": name, "Value": told, "Timestamp": write_epoch(at)}
