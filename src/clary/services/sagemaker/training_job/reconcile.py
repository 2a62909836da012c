"""Makes a training job come true: prepare its image, wait for a slot, launch, follow, end.

Every step is written down before the next begins, and each may run twice: what an instance is launched with is stored
before the launch, the launch is idempotent, and the ending is one transaction that also retires the instances.
"""

from __future__ import annotations

import dataclasses

from sqlalchemy.engine import Connection

from clary.compute.base import Observation
from clary.context import Platform
from clary.contract.instance import ExitRecord, Image
from clary.errors import ServiceError
from clary.images.base import ImageBuildFailed
from clary.scheduler import admission, instance_types, retirement
from clary.scheduler.admission import Capacity, Claim, Machine
from clary.scheduler.loop import Reconciler
from clary.scheduler.outcomes import AgainIn, Done, Outcome
from clary.services import resources
from clary.services.operation import Document
from clary.services.sagemaker import pulls
from clary.services.sagemaker.training_job import hosts, launch, queueing, retries, transitions
from clary.services.sagemaker.training_job.declaration import ACTIVE, TRAINING_JOB
from clary.store import queues
from clary.store.records import Record

_POLL = 2.0  # agents report changes at once; this is only for those that cannot report any more
_BUILD_POLL = 3.0  # seconds; the end of a build wakes the loop


def reconcile(platform: Platform, record: Record) -> Outcome:
    if "_run" not in record.document:
        prepared = _prepare(platform, record)
        if not isinstance(prepared, Record):
            return prepared
        record = prepared
    run = record.document["_run"]
    # Stopped between the claim and the launch: never launched, it shows as lost below, which ends it.
    if not run["Launched"] and record.status == "InProgress":
        image = _make_image(platform, record)  # in the queue it may have gone
        if not isinstance(image, Image):
            return image
        record = _launch(platform, record, image)
    return _watch(platform, _limit_wait(platform, record))


def _prepare(platform: Platform, record: Record) -> Record | Outcome:
    """The record with its claim on a slot, or what to wait for."""
    record = _limit_wait(platform, record)
    if record.status == "Stopping":
        return _conclude(platform, record, [])
    if not record.queue:
        image = _make_image(platform, record)
        if not isinstance(image, Image):
            return image
    record = _admit(platform, record)
    return AgainIn(max(queueing.patience_ends(record) - _now(platform), 0.0)) if record.queue else record


def _make_image(platform: Platform, record: Record) -> Image | Outcome:
    """The image, once the role may have it and its environment is there: then the job can stand in the queue, or
    begin."""
    try:
        image = launch.image_of(platform.images, record.account, record.document)
        pulls.check_training(platform, image, record.document["RoleArn"])
        if platform.images.ready(image):
            return image
        told = transitions.say(record.document, transitions.DOWNLOADING_IMAGE)
        if told != record.document:
            record = _write(platform, record, told)
        return AgainIn(0 if platform.images.prepare(image) else _BUILD_POLL)
    except (ServiceError, ImageBuildFailed) as error:
        _end(platform, record, "Failed", transitions.fail(record.document, f"ClientError: {error}", _now(platform)))
        return Done()


def _admit(platform: Platform, record: Record) -> Record:
    """Claims a slot, or enters the queue and says why there is none. All claims are compared in the transaction that
    makes one."""
    name, count = record.name or "", hosts.count(record.document["ResourceConfig"])
    now = _now(platform)
    run = launch.new_run(name, count, now)
    capacity = Capacity.of(Machine.this(), platform.settings.job_slots)

    def commit(connection: Connection) -> Record:
        active = queues.members(connection, record.kind, ACTIVE, queue="")
        running = [_claim(each) for each in active if "_run" in each.document]
        obstacle = capacity.obstacle(_claim(record), running, queueing.ahead(connection, record))
        if obstacle:
            return queueing.wait(connection, record, obstacle, now)
        document = {**transitions.say(record.document, transitions.PREPARING), "_run": run}
        return resources.move(connection, TRAINING_JOB, record, document, now)

    return platform.stores.records.write(commit)


def _claim(record: Record) -> Claim:
    groups = hosts.groups(record.document["ResourceConfig"])
    largest = max(instance_types.find(each.instance_type).memory for each in groups)
    return Claim(len(hosts.names(groups)), largest)


def _launch(platform: Platform, record: Record, image: Image) -> Record:
    for spec in launch.specs(platform.settings, record, image):
        platform.compute.launch(spec)
    run = {**record.document["_run"], "Launched": True}
    return _write(platform, record, {**record.document, "_run": run})


def _limit_wait(platform: Platform, record: Record) -> Record:
    """Stops a job that waited too long. MaxRuntimeInSeconds is the agent's to keep."""
    now = _now(platform)
    if record.status != "InProgress" or now < queueing.patience_ends(record):
        return record
    longest = record.document["StoppingCondition"].get("MaxWaitTimeInSeconds")
    waited = longest is not None and now >= record.created + longest
    ending = {"_ending": "MaxWaitTimeExceeded"} if waited else {}
    document = transitions.enter({**record.document, **ending}, "Stopping", now, transitions.STOPPING)
    return _write(platform, record, document, "Stopping")


def _watch(platform: Platform, record: Record) -> Outcome:
    instances = record.document["_run"]["Instances"]
    seen = [platform.compute.observe(each) for each in instances]
    document = transitions.follow(record.document, seen[0].phases)
    over = all(_over(each) for each in seen)
    if record.status == "InProgress" and transitions.overdue(document):  # its agent stops it
        record = _write(platform, record, {**document, "_ending": "MaxRuntimeExceeded"}, "Stopping")
    elif over:  # written together with the ending
        record = dataclasses.replace(record, document=document)
    elif document != record.document:
        record = _write(platform, record, document)
    if not over:
        if record.status == "Stopping" or any(_over(each) and not _succeeded(each) for each in seen):
            for instance, each in zip(instances, seen, strict=True):
                if not _over(each):
                    platform.compute.stop(instance)
        return AgainIn(_POLL)
    return _conclude(platform, record, seen)


def _over(seen: Observation) -> bool:
    return seen.state in ("exited", "lost")


def _succeeded(seen: Observation) -> bool:
    return seen.exit is not None and seen.exit.cause == "completed"


def _conclude(platform: Platform, record: Record, seen: list[Observation]) -> Outcome:
    """All instances have ended: one transaction makes that final, or lets the job begin anew."""
    exits = sorted((each.exit for each in seen if each.exit is not None), key=lambda each: each.ended)
    at = exits[-1].ended if exits else _now(platform)
    document = {**record.document, **transitions.results(exits)}
    if record.status == "Stopping":
        _end(platform, record, "Stopped", transitions.end(document, document.get("_ending", "Stopped"), at))
    elif all(_succeeded(each) for each in seen):
        _end(platform, record, "Completed", transitions.end(document, "Completed", at))
    elif all(each.exit is not None for each in seen) and _cause(exits) != "failed":
        ending = "MaxRuntimeExceeded" if _cause(exits) == "max-runtime" else "Stopped"
        _end(platform, record, "Stopped", transitions.end(document, ending, at))
    else:
        reason = _reason(record, seen, exits)
        restarted = retries.restart(record.document, reason, at)
        if restarted is not None:
            _restart(platform, record, restarted)
            return AgainIn(0)
        _end(platform, record, "Failed", transitions.fail(document, reason, at))
    return Done()


def _cause(exits: list[ExitRecord]) -> str:
    """Of an instance that failed, else of the first that did not complete; the others were stopped because of it."""
    if any(each.cause in ("failed", "lost") for each in exits):
        return "failed"
    return next((each.cause for each in exits if each.cause != "completed"), "completed")


def _reason(record: Record, seen: list[Observation], exits: list[ExitRecord]) -> str:
    for each in exits:
        if each.cause in ("failed", "lost") and each.failure:
            return each.failure
    lost = [f"algo-{n}" for n, each in enumerate(seen, 1) if each.exit is None]
    if lost:
        return f"InternalServerError: {', '.join(lost)} was lost: its agent ended without saying how the job ended."
    return f"InternalServerError: an instance of {record.name} failed and gave no reason."


def _restart(platform: Platform, record: Record, document: Document) -> None:
    """The next attempt has instances of its own."""
    now = _now(platform)

    def commit(connection: Connection) -> None:
        resources.move(connection, TRAINING_JOB, record, document, now)
        for instance in record.document["_run"]["Instances"]:
            retirement.retire(connection, instance, now)

    platform.stores.records.write(commit)


def _end(platform: Platform, record: Record, status: str, document: Document) -> None:
    """The job is over. `_run` goes; its instances are retired in the same transaction."""
    now = _now(platform)
    run = record.document.get("_run", {"Instances": []})
    kept = {member: value for member, value in document.items() if not member.startswith("_")}

    def commit(connection: Connection) -> None:
        current = record
        if status == "Stopped" and record.status == "InProgress":  # the agent stopped it: by way of Stopping
            current = resources.move(connection, TRAINING_JOB, record, record.document, now, "Stopping")
        resources.move(connection, TRAINING_JOB, current, kept, now, status)
        for instance in run["Instances"]:
            retirement.retire(connection, instance, now)

    platform.stores.records.write(commit)
    platform.wake()


def _write(platform: Platform, record: Record, document: Document, status: str = "") -> Record:
    now = _now(platform)
    return platform.stores.records.write(
        lambda connection: resources.move(connection, TRAINING_JOB, record, document, now, status)
    )


def _now(platform: Platform) -> float:
    return platform.clock.now()


RECONCILER = Reconciler(ACTIVE, reconcile, admission.QUEUE)
