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

ROLE_PATH = "/service-role/"
ROLE_NAME = "AmazonSageMaker-ExecutionRole-Clary"
_ATTACHED = ("AmazonSageMakerFullAccess", "AmazonS3FullAccess")


def default_role_arn(settings: Settings) -> str:
    """The execution role that `clary env` and `clary run` hand out sessions of."""
    return role_arn(settings.account, ROLE_PATH, ROLE_NAME)


def provision(database: Database, settings: Settings, clock: Clock) -> None:
    """Call it at every start: makes what is missing, changes nothing that is there."""
    root_key.ensure(settings)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {
                    "Service": "sagemaker.amazonaws.com",
                    "AWS": f"arn:aws:iam::{settings.account}:root",
                },
                "Action": "sts:AssumeRole",
            }
        ],
    }
    given = {
        "RoleName": ROLE_NAME,
        "Path": ROLE_PATH,
        "AssumeRolePolicyDocument": json.dumps(trust),
        "Description": "The execution role that Clary makes at its first start.",
        "MaxSessionDuration": 43_200,
    }
    role = new_role(settings.account, given, clock.now())
    role.document["AttachedPolicies"] = [f"arn:aws:iam::aws:policy/{name}" for name in _ATTACHED]

    def work(connection: Connection) -> None:
        if records.find(connection, shapes.ROLE, settings.account, shapes.REGION, ROLE_NAME) is None:
            records.insert(connection, role)
            generation.advance(connection)

    database.write(work)
