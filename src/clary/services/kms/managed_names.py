"""AWS managed keys: one for each service that encrypts on its own, known by its alias."""

from __future__ import annotations

AWS, CUSTOMER = "AWS", "CUSTOMER"
PREFIX = "alias/aws/"
# The services of this server that encrypt, and those whose aliases people's programs name.
SERVICES = frozenset(
    {"dynamodb", "ebs", "elasticfilesystem", "fsx", "glue", "kinesis", "lambda", "rds", "redshift", "s3"}
    | {"secretsmanager", "sns", "sqs", "ssm", "xray"}
)


def service_of(name: str) -> str | None:
    """The service of `alias/aws/<service>` or of its ARN; None for any other text."""
    alias = name.rpartition(":")[2]
    service = alias.removeprefix(PREFIX)
    return service if alias.startswith(PREFIX) and service in SERVICES else None
