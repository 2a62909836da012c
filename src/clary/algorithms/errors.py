"""How a training job fails: whose fault it was decides the exit status and the first word of the failure file."""

from __future__ import annotations

from typing import ClassVar


class JobError(Exception):
    """Ends a job. `label` starts the failure file and so FailureReason; `exit_code` is the process's status."""

    label: ClassVar[str]
    exit_code: ClassVar[int]


class ClientError(JobError):
    """What the user gave is wrong: hyperparameters, channels, data. The message says what and where."""

    label = "ClientError"
    exit_code = 2


class AlgorithmError(JobError):
    """The algorithm failed on input that looked right."""

    label = "AlgorithmError"
    exit_code = 1


class InternalError(JobError):
    """The surroundings are not what the contract promises (a missing configuration file, an unwritable folder)."""

    label = "InternalServerError"
    exit_code = 3
