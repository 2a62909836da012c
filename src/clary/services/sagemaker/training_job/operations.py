"""The operations of TrainingJob. They record what is wanted; `reconcile` does it."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError, option_not_built, validation
from clary.services import resources
from clary.services.operation import Call, Document, Operations, Result
from clary.services.refusals import refuse
from clary.services.sagemaker import checks, pulls
from clary.services.sagemaker.training_job import launch, queueing, request, transitions
from clary.services.sagemaker.training_job.declaration import TERMINAL, TRAINING_JOB
from clary.store.records import Record

OPERATIONS = Operations()
resources.serve(OPERATIONS, TRAINING_JOB, "Describe")


@OPERATIONS.handles("CreateTrainingJob")
def create_training_job(call: Call, given: Document) -> Document:
    now, images = call.platform.clock.now(), call.platform.images
    document = request.completed(given, images, call.account) | transitions.begin(now)
    image = launch.image_of(images, call.account, document)
    pulls.check_training(call.platform, image, given["RoleArn"])
    if image.pin:
        document["_pin"] = image.pin
    place = queueing.behind_others(now) if images.ready(image) else None
    role = checks.role(call, TRAINING_JOB, given["RoleArn"], given["TrainingJobName"])
    key = checks.output_key(call, document["OutputDataConfig"]["KmsKeyId"])

    def check(connection: Connection) -> None:
        role(connection)
        key(connection)

    return resources.create(TRAINING_JOB, call, document, status="InProgress", check=check, place=place)


@OPERATIONS.handles("ListTrainingJobs")
def list_training_jobs(call: Call, given: Document) -> Result:
    """No job has a warm pool or a training plan, since neither can be asked for: such a filter finds nothing."""
    if "WarmPoolStatusEquals" in given or "TrainingPlanArnEquals" in given:
        return {TRAINING_JOB.listing: []}
    return resources.listing(TRAINING_JOB, call, given)


@OPERATIONS.handles("StopTrainingJob")
def stop_training_job(call: Call, given: Document) -> Document:
    now = call.platform.clock.now()

    def commit(connection: Connection) -> None:
        record = resources.require(connection, TRAINING_JOB, call, given["TrainingJobName"])
        if record.status in TERMINAL:
            raise validation(f"The request was rejected because the training job is in status {record.status}.")
        if record.status == "InProgress":
            _stop(connection, record, now)

    call.platform.stores.records.write(commit)
    call.platform.wake()
    return {}


def _stop(connection: Connection, record: Record, now: float) -> None:
    document = transitions.enter(record.document, "Stopping", now, transitions.STOPPING)
    record = resources.move(connection, TRAINING_JOB, record, document, now, "Stopping")
    if "_run" not in document:
        # Nothing was launched, nor can it be now. Its image may be in the making, which is worth no waiting.
        document = transitions.end(document, "Stopped", now)
        document.pop("_pin", None)
        resources.move(connection, TRAINING_JOB, record, document, now, "Stopped")


@OPERATIONS.handles("DeleteTrainingJob")
def delete_training_job(call: Call, given: Document) -> Document:
    def commit(connection: Connection) -> None:
        record = resources.require(connection, TRAINING_JOB, call, given["TrainingJobName"])
        if record.status not in TERMINAL:
            raise ServiceError(
                "ResourceInUse", f"The training job {record.arn} is in status {record.status} and cannot be deleted."
            )
        resources.remove(connection, record)

    call.platform.stores.records.write(commit)
    return {}


@OPERATIONS.handles("UpdateTrainingJob")
def update_training_job(call: Call, given: Document) -> Document:
    """Of what AWS lets one change, only turning off what is off already is built."""
    refuse(
        call.operation,
        given,
        ("ProfilerRuleConfigurations", "RemoteDebugConfig.EnableRemoteDebug", "ProfilerConfig.ProfilingParameters"),
    )
    if "ProfilerConfig" in given and not given["ProfilerConfig"].get("DisableProfiler"):
        raise option_not_built(call.operation, "ProfilerConfig other than DisableProfiler")
    name = given["TrainingJobName"]
    record = call.platform.stores.records.read(
        lambda connection: resources.require(connection, TRAINING_JOB, call, name)
    )
    if "ResourceConfig" in given:
        raise validation(f"The training job {record.arn} has no warm pool whose KeepAlivePeriodInSeconds could change.")
    if record.status != "InProgress":
        raise validation(f"The request was rejected because the training job is in status {record.status}.")
    return {"TrainingJobArn": record.arn}
