"""What a job in its sandbox gets of its role, taken to the server: it is that role there, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from agent_world import world
from api.iam.served import Server
from clary.services.sts.sessions import open_session

TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
MAY = {"Effect": "Allow", "Action": "iam:ListRoles", "Resource": "*"}


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_job_is_its_role(server: Server, aws: Callable[..., Any]) -> None:
    iam, stores = aws("iam"), server.platform.stores
    role = iam.create_role(RoleName="of-the-job", AssumeRolePolicyDocument=document(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="of-the-job", PolicyName="own", PolicyDocument=document(MAY))
    with world() as there:
        there.sessions = lambda spec, holder: open_session(
            stores.records, server.platform.secrets, spec.role_arn, "SageMaker", 3600, server.clock
        )
        status, told = there.told("tell(ask())", role_arn=role)
    assert (status, told["RoleArn"]) == (200, role)
    given = {"key": (told["AccessKeyId"], told["SecretAccessKey"]), "token": told["Token"]}
    who = aws("sts", **given).get_caller_identity()["Arn"]
    assert who == "arn:aws:sts::123456789012:assumed-role/of-the-job/SageMaker"
    assert "of-the-job" in [each["RoleName"] for each in aws("iam", **given).list_roles()["Roles"]]
    with pytest.raises(ClientError, match="iam:ListUsers"):
        aws("iam", **given).list_users()
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        aws("sts", key=given["key"]).get_caller_identity()
