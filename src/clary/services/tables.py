"""Every service that is built, in one place: what the pipeline, the loop and the compatibility page work from."""

from __future__ import annotations

from collections.abc import Mapping

from clary.scheduler.loop import Reconciler
from clary.services import ecr, iam, kms, logs, s3, s3control, sagemaker, sns, sts
from clary.services.operation import Operations
from clary.services.waiting import Waits

OPERATIONS: Mapping[str, Operations] = {
    "ecr": ecr.OPERATIONS,
    "iam": iam.OPERATIONS,
    "kms": kms.OPERATIONS,
    "logs": logs.OPERATIONS,
    "s3": s3.OPERATIONS,
    "s3control": s3control.OPERATIONS,
    "sagemaker": sagemaker.OPERATIONS,
    "sns": sns.OPERATIONS,
    "sts": sts.OPERATIONS,
}

RECONCILERS: Mapping[str, Reconciler] = {**kms.RECONCILERS, **sagemaker.RECONCILERS, **sns.RECONCILERS}

# By service and operation: the Describe of resources that clients wait for.
WAITS: Mapping[tuple[str, str], Waits] = {("sagemaker", name): waits for name, waits in sagemaker.WAITS.items()}

# How a service calls parameters that break a constraint of their shape, where it is not ValidationException; S3 checks
# its parameters itself, with an error of its own for each.
VALIDATION_CODES: Mapping[str, str] = {
    "ecr": ecr.VALIDATION_CODE,
    "iam": "ValidationError",
    "logs": logs.VALIDATION_CODE,
    "s3": "",
    "s3control": "",
    "sns": "ValidationError",
    "sts": "ValidationError",
}
