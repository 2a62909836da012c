"""Amazon SageMaker: the operations and reconcilers of all its resources that are built, and what clients wait for."""

from __future__ import annotations

from collections.abc import Mapping

from clary.scheduler import retirement
from clary.scheduler.loop import Reconciler
from clary.services.operation import Operations
from clary.services.sagemaker import endpoint_config, model, tags
from clary.services.sagemaker.endpoint import operations as endpoint
from clary.services.sagemaker.endpoint.declaration import ENDPOINT, IN_PROGRESS
from clary.services.sagemaker.endpoint.reconcile import RECONCILER as ENDPOINT_RECONCILER
from clary.services.sagemaker.endpoint_config import ENDPOINT_CONFIG
from clary.services.sagemaker.model import MODEL
from clary.services.sagemaker.training_job import operations as training_job
from clary.services.sagemaker.training_job.declaration import ACTIVE, TRAINING_JOB
from clary.services.sagemaker.training_job.reconcile import RECONCILER as TRAINING_JOB_RECONCILER
from clary.services.waiting import ENDPOINT as ENDPOINT_RHYTHM
from clary.services.waiting import JOB as JOB_RHYTHM
from clary.services.waiting import Waits

OPERATIONS = Operations()
for _table in (
    training_job.OPERATIONS,
    model.OPERATIONS,
    endpoint_config.OPERATIONS,
    endpoint.OPERATIONS,
    tags.operations((TRAINING_JOB, MODEL, ENDPOINT_CONFIG, ENDPOINT)),
):
    OPERATIONS.include(_table)

RECONCILERS: Mapping[str, Reconciler] = {
    TRAINING_JOB.kind: TRAINING_JOB_RECONCILER,
    ENDPOINT.kind: ENDPOINT_RECONCILER,
    retirement.KIND: retirement.RECONCILER,
}

WAITS: Mapping[str, Waits] = {
    "DescribeTrainingJob": Waits(TRAINING_JOB, frozenset(ACTIVE), JOB_RHYTHM),
    "DescribeEndpoint": Waits(ENDPOINT, IN_PROGRESS, ENDPOINT_RHYTHM),
}
