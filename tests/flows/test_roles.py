"""Jobs act with their role and nothing else."""

from __future__ import annotations

from api.access.people import allow, role
from flows import jobs
from whole_server import WholeServer


def test_a_job_whose_role_may_not_read_its_data(server: WholeServer) -> None:
    arn = role(server, allow("s3:ListBucket", "s3:PutObject"))
    ended = jobs.ended(server, jobs.start(server, role=arn))
    assert ended["TrainingJobStatus"] == "Failed"
    reason = ended["FailureReason"]
    assert reason.startswith("ClientError: Data download failed:AccessDenied")
    assert "is not authorized to perform: s3:GetObject" in reason


def test_a_job_whose_role_may(server: WholeServer) -> None:
    arn = role(server, allow("s3:ListBucket", "s3:GetObject", "s3:PutObject"))
    assert jobs.ended(server, jobs.start(server, role=arn))["TrainingJobStatus"] == "Completed"
