"""RetryStrategy: a job that failed by no fault of its user's begins anew, as often as the request allows. What is
known of the attempts before is the document's `_retry`: how many were ended (`Attempts`), for how long they trained
together (`Spent`, seconds: MaxRuntimeInSeconds is for all of them), and when the last ended (`At`, epoch seconds)."""

from __future__ import annotations

from clary.services.operation import Document
from clary.services.sagemaker.training_job import transitions

_OURS = "InternalServerError:"


def restart(document: Document, reason: str, at: float) -> Document | None:
    """The document of a job that begins anew after `reason`; None for one that has failed for good."""
    most = (document.get("RetryStrategy") or {}).get("MaximumRetryAttempts", 0)
    before = document.get("_retry", {"Attempts": 0, "Spent": 0.0})
    spent = before["Spent"] + _trained(document, at)
    if before["Attempts"] >= most or not reason.startswith(_OURS) or spent >= _whole(document):
        return None
    begun = transitions.enter(document, "Restarting", at, reason)
    begun = transitions.enter(begun, "Starting", at, transitions.STARTING)
    del begun["_run"]
    return {**begun, "_retry": {"Attempts": before["Attempts"] + 1, "Spent": spent, "At": at}}


def run_time(document: Document) -> float:
    """Seconds that are left to this attempt."""
    return _whole(document) - float(document.get("_retry", {}).get("Spent", 0.0))


def begun(document: Document, created: float) -> float:
    """When the attempt began that is to run or runs, epoch seconds."""
    return float(document.get("_retry", {}).get("At", created))


def _whole(document: Document) -> float:
    return float(document["StoppingCondition"]["MaxRuntimeInSeconds"])


def _trained(document: Document, at: float) -> float:
    training = [each for each in transitions.of_attempt(document) if each["Status"] == "Training"]
    return max(0.0, at - float(training[0]["StartTime"])) if training else 0.0
