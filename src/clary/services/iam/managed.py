"""The AWS-managed policies that SDKs and tutorials name, with what they allow on the services that Clary has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

VERSION = "2012-10-17"
CREATED = 1_423_500_000.0  # AWS shows the day it published them; ours were all here from the start


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """`document` is JSON text; `policy_id` never changes."""

    name: str
    policy_id: str
    description: str
    document: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::aws:policy/{self.name}"


def _policy(name: str, policy_id: str, description: str, *statements: dict[str, Any]) -> ManagedPolicy:
    text = json.dumps({"Version": VERSION, "Statement": list(statements)}, separators=(",", ":"))
    return ManagedPolicy(name, policy_id, description, text)


def _allow(actions: list[str], resources: list[str] | str = "*", **conditions: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    if conditions:
        statement["Condition"] = conditions
    return statement


_SAGEMAKER_BUCKETS = ["arn:aws:s3:::*SageMaker*", "arn:aws:s3:::*Sagemaker*", "arn:aws:s3:::*sagemaker*"]

_SAGEMAKER = _policy(
    "AmazonSageMakerFullAccess",
    "ANPAJZ5IWYMXO5QDB4QOG",
    "Provides full access to Amazon SageMaker via the AWS Management Console and SDK. "
    "Also provides select access to related services (e.g., S3, ECR, CloudWatch Logs).",
    _allow(["sagemaker:*", "sagemaker-geospatial:*"]),
    _allow(
        [
            "application-autoscaling:DeleteScalingPolicy",
            "application-autoscaling:DeleteScheduledAction",
            "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingActivities",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:DescribeScheduledActions",
            "application-autoscaling:PutScalingPolicy",
            "application-autoscaling:PutScheduledAction",
            "application-autoscaling:RegisterScalableTarget",
            "cloudwatch:DeleteAlarms",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:GetMetricData",
            "cloudwatch:GetMetricStatistics",
            "cloudwatch:ListMetrics",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:PutMetricData",
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CreateRepository",
            "ecr:Describe*",
            "ecr:GetAuthorizationToken",
            "ecr:GetDownloadUrlForLayer",
            "ecr:StartImageScan",
            "iam:ListRoles",
            "kms:DescribeKey",
            "kms:ListAliases",
            "logs:CreateLogDelivery",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DeleteLogDelivery",
            "logs:Describe*",
            "logs:GetLogDelivery",
            "logs:GetLogEvents",
            "logs:ListLogDeliveries",
            "logs:PutLogEvents",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
            "sns:ListTopics",
        ]
    ),
    _allow(
        [
            "ecr:SetRepositoryPolicy",
            "ecr:CompleteLayerUpload",
            "ecr:BatchDeleteImage",
            "ecr:UploadLayerPart",
            "ecr:DeleteRepositoryPolicy",
            "ecr:InitiateLayerUpload",
            "ecr:DeleteRepository",
            "ecr:PutImage",
        ],
        ["arn:aws:ecr:*:*:repository/*sagemaker*"],
    ),
    _allow(
        ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        [*_SAGEMAKER_BUCKETS, "arn:aws:s3:::*aws-glue*"],
    ),
    _allow(["s3:GetObject"], "*", StringEqualsIgnoreCase={"s3:ExistingObjectTag/SageMaker": "true"}),
    _allow(
        [
            "s3:CreateBucket",
            "s3:GetBucketLocation",
            "s3:ListBucket",
            "s3:ListAllMyBuckets",
            "s3:GetBucketCors",
            "s3:PutBucketCors",
        ]
    ),
    _allow(["s3:GetBucketAcl", "s3:PutObjectAcl"], _SAGEMAKER_BUCKETS),
    _allow(
        ["sns:Subscribe", "sns:CreateTopic", "sns:Publish"],
        ["arn:aws:sns:*:*:*SageMaker*", "arn:aws:sns:*:*:*Sagemaker*", "arn:aws:sns:*:*:*sagemaker*"],
    ),
    _allow(
        ["iam:PassRole"],
        "arn:aws:iam::*:role/*",
        StringEquals={"iam:PassedToService": ["sagemaker.amazonaws.com", "events.amazonaws.com"]},
    ),
)

_S3 = _policy(
    "AmazonS3FullAccess",
    "ANPAIFIR6V6BVTRAHWINE",
    "Provides full access to all buckets via the AWS Management Console.",
    _allow(["s3:*", "s3-object-lambda:*"]),
)

_S3_READ = _policy(
    "AmazonS3ReadOnlyAccess",
    "ANPAIZTJ4DXE7G6AGAE6M",
    "Provides read only access to all buckets via the AWS Management Console.",
    _allow(
        ["s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"],
    ),
)

_CLOUDWATCH = _policy(
    "CloudWatchFullAccess",
    "ANPAIKEABORKUXN6DEAZU",
    "Provides full access to CloudWatch.",
    _allow(
        [
            "autoscaling:Describe*",
            "cloudwatch:*",
            "logs:*",
            "sns:*",
            "iam:GetPolicy",
            "iam:GetPolicyVersion",
            "iam:GetRole",
        ]
    ),
)

_ECR = _policy(
    "AmazonEC2ContainerRegistryFullAccess",
    "ANPAIESRL7KD7IIVF6V4W",
    "Provides administrative access to Amazon ECR resources",
    _allow(["ecr:*", "cloudtrail:LookupEvents"]),
)

ADMINISTRATOR = _policy(
    "AdministratorAccess",
    "ANPAIWMBCKSKIEE64ZLYK",
    "Provides full access to AWS services and resources.",
    _allow(["*"]),
)

MANAGED = {policy.arn: policy for policy in (ADMINISTRATOR, _SAGEMAKER, _S3, _S3_READ, _CLOUDWATCH, _ECR)}


def find(arn: str) -> ManagedPolicy | None:
    """AWS's policy of that ARN, None where it is none of AWS's."""
    return MANAGED.get(arn)
