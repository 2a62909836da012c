"""Users with a policy of their own, and what refusals say."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from whole_server import WholeServer

ACCOUNT = "123456789012"


def allow(*actions: str, on: object = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def unique(stem: str) -> str:
    return f"{stem}-{uuid.uuid4().hex[:12]}"


class Person:
    """A user, who may what his policy says."""

    def __init__(self, server: WholeServer, *statements: dict[str, Any]) -> None:
        self.server = server
        self.name = unique("person")
        self.iam = server.client("iam")
        self.arn = self.iam.create_user(UserName=self.name)["User"]["Arn"]
        self.may(*statements)
        key = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        self.keys = (key["AccessKeyId"], key["SecretAccessKey"])

    def may(self, *statements: dict[str, Any]) -> None:
        """From now on, and nothing else."""
        if statements:
            self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document(*statements))

    def client(self, service: str, **config: Any) -> Any:
        return client(self.server, service, self.keys, **config)


def client(server: WholeServer, service: str, keys: tuple[str, ...], **options: Any) -> Any:
    """With an access key, a secret key and perhaps a token; without any, anonymous. `options` are of botocore's
    Config."""
    signing = {} if keys else {"signature_version": UNSIGNED}
    config = Config(retries={"total_max_attempts": 1}, **signing, **options)
    return boto3.client(
        service,
        "us-east-1",
        endpoint_url=server.url,
        config=config,
        **dict(zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), keys, strict=False)),
    )


def refusal(work: Callable[..., Any], **given: Any) -> tuple[str, int, str]:
    """(code, status, message)."""
    with pytest.raises(ClientError) as caught:
        work(**given)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def role(server: WholeServer, *statements: dict[str, Any], trusted: object = None) -> str:
    """The ARN of a role that SageMaker may assume, and that may what is said."""
    name, iam = unique("role"), server.client("iam")
    principal = trusted or {"Service": "sagemaker.amazonaws.com", "AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return arn
