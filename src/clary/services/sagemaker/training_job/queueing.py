"""A training job's place in the queue for job slots."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from sqlalchemy.engine import Connection

from clary.scheduler import admission
from clary.services import resources
from clary.services.sagemaker.training_job import retries, transitions
from clary.services.sagemaker.training_job.declaration import TRAINING_JOB
from clary.store import queues
from clary.store.records import Record


def behind_others(now: float) -> Callable[[Connection, Record], Record]:
    """For a new job whose image is there: while an older one waits it has to wait as well, whatever else is true. So it
    is born in the queue, and the scheduler has nothing to do for it before its turn."""

    def place(connection: Connection, record: Record) -> Record:
        before = ahead(connection, record)
        if not before:
            return record
        document = transitions.wait(record.document, admission.behind(before), now)
        return dataclasses.replace(record, document=document, queue=admission.QUEUE, until=_until(record))

    return place


def ahead(connection: Connection, record: Record) -> int:
    """How many jobs in the queue are older, as far as they are counted."""
    return queues.ahead(connection, record, admission.QUEUE, admission.MOST_COUNTED)


def wait(connection: Connection, record: Record, reason: str, now: float) -> Record:
    """Puts the job into the queue, or changes what it says there."""
    document = transitions.wait(record.document, reason, now)
    if record.queue and document == record.document:
        return record
    return resources.move(connection, TRAINING_JOB, record, document, now, queue=admission.QUEUE, until=_until(record))


def patience_ends(record: Record) -> float:
    """MaxWaitTimeInSeconds bounds waiting and running together, MaxPendingTimeInSeconds the waiting alone. Epoch
    seconds, infinite without either."""
    condition = record.document["StoppingCondition"]
    whole: float = record.created + condition.get("MaxWaitTimeInSeconds", math.inf)
    if "_run" in record.document:
        return whole
    begun = retries.begun(record.document, record.created)
    return min(whole, begun + float(condition.get("MaxPendingTimeInSeconds", math.inf)))


def _until(record: Record) -> float | None:
    ends = patience_ends(record)
    return None if ends == math.inf else ends
