"""What a new server has before anybody asked for it: the root's key and a role for jobs to run as."""

from __future__ import annotations

import json

from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.config import Settings
from clary.services.iam import generation, root_key, shapes
from clary.services.iam.roles import new_role, role_arn
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Record

ROLE_PATH = "/service-role/"
ROLE_NAME = "AmazonSageMaker-ExecutionRole-Clary"
_ATTACHED = ("AmazonSageMakerFullAccess", "AmazonS3FullAccess")
# What somebody who works with `clary env` needs besides: to read every log, to look at roles and what they may do, and
# to use keys. Nobody becomes another by it, and nobody gives himself more.
_DATA_SCIENCE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "ReadLogs",
            "Effect": "Allow",
            "Action": ["logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents", "logs:TestMetricFilter"],
            "Resource": "*",
        },
        {
            "Sid": "LookAtRoles",
            "Effect": "Allow",
            "Action": ["iam:GetRole*", "iam:GetPolicy*", "iam:List*", "iam:SimulatePrincipalPolicy"],
            "Resource": "*",
        },
        {
            "Sid": "UseKeys",
            "Effect": "Allow",
            "Action": [
                *("kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"),
                *("kms:ListAliases", "kms:ListKeys", "kms:ReEncrypt*"),
            ],
            "Resource": "*",
        },
    ],
}


def default_role_arn(settings: Settings) -> str:
    """The execution role that `clary env` and `clary run` hand out sessions of."""
    return role_arn(settings.account, ROLE_PATH, ROLE_NAME)


def provision(database: Database, settings: Settings, clock: Clock) -> None:
    """Call it at every start: makes what is missing, changes nothing that is there."""
    root_key.ensure(settings)
    role = execution_role(settings.account, clock.now())

    def work(connection: Connection) -> None:
        found = records.find(connection, shapes.ROLE, settings.account, shapes.REGION, ROLE_NAME)
        if found is None:
            records.insert(connection, role)
            generation.advance(connection)
        elif found.modified == found.created and not found.document["InlinePolicies"]:
            # Of a release that did not look at policies; nobody has changed it since.
            inline = role.document["InlinePolicies"]
            records.replace(connection, found, document={**found.document, "InlinePolicies": inline})
            generation.advance(connection)

    database.write(work)


def execution_role(account: str, now: float) -> Record:
    """The role that each account has from the start, for jobs to run as."""
    principals = {"Service": "sagemaker.amazonaws.com", "AWS": f"arn:aws:iam::{account}:root"}
    trust = {"Effect": "Allow", "Principal": principals, "Action": "sts:AssumeRole"}
    given = {
        "RoleName": ROLE_NAME,
        "Path": ROLE_PATH,
        "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        "Description": "The execution role that Clary makes at its first start.",
        "MaxSessionDuration": 43_200,
    }
    role = new_role(account, given, now)
    role.document["InlinePolicies"] = {"ClaryDataScience": json.dumps(_DATA_SCIENCE)}
    role.document["AttachedPolicies"] = [f"arn:aws:iam::aws:policy/{name}" for name in _ATTACHED]
    return role
