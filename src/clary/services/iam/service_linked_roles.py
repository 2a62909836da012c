"""Service-linked roles: of a service and for it alone; made and deleted by name of the service."""

from __future__ import annotations

import json
import uuid

from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, generation, roles, shapes
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Record

operations = Operations()

_TASK = "iam-deletion-task"
# What stands after AWSServiceRoleFor where it is not the service's own name.
_NAMES = {
    "autoscaling.amazonaws.com": "AutoScaling",
    "application-autoscaling.amazonaws.com": "ApplicationAutoScaling",
    "ec2.application-autoscaling.amazonaws.com": "ApplicationAutoScaling_EC2SpotFleetRequest",
    "ecs.amazonaws.com": "ECS",
    "ecs.application-autoscaling.amazonaws.com": "ApplicationAutoScaling_ECSService",
    "dynamodb.application-autoscaling.amazonaws.com": "ApplicationAutoScaling_DynamoDBTable",
    "elasticloadbalancing.amazonaws.com": "ElasticLoadBalancing",
    "elasticmapreduce.amazonaws.com": "EMRCleanup",
    "lex.amazonaws.com": "LexBots",
    "rds.amazonaws.com": "RDS",
    "sagemaker.amazonaws.com": "AmazonSageMakerNotebooks",
    "sagemaker.application-autoscaling.amazonaws.com": "ApplicationAutoScaling_SageMakerEndpoint",
    "support.amazonaws.com": "Support",
}
_WITH_SUFFIX = frozenset({"autoscaling.amazonaws.com", "lex.amazonaws.com"})


def _name(service: str) -> str:
    known = _NAMES.get(service)
    if known is None:
        words = service.removesuffix(".amazonaws.com").replace("-", ".").split(".")
        known = "".join(word.capitalize() for word in reversed(words))
    return f"AWSServiceRoleFor{known}"


@operations.handles("CreateServiceLinkedRole")
def create_service_linked_role(call: Call, given: Document) -> Document:
    service, suffix = given["AWSServiceName"], given.get("CustomSuffix")
    if not service.endswith(".amazonaws.com"):
        raise errors.bad_input(f"Service {service} is not a service that has service-linked roles.")
    if suffix and service not in _WITH_SUFFIX:
        raise errors.bad_input(f"Custom suffix is not allowed for {service}")
    statement = {"Effect": "Allow", "Principal": {"Service": [service]}, "Action": ["sts:AssumeRole"]}
    wanted: Document = {
        "RoleName": f"{_name(service)}_{suffix}" if suffix else _name(service),
        "Path": f"{entities.SERVICE_PATH}{service}/",
        "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    }
    if "Description" in given:
        wanted["Description"] = given["Description"]
    record = roles.new_role(call.account, wanted, call.platform.clock.now())

    def work(connection: Connection) -> Document:
        if records.find(connection, shapes.ROLE, call.account, shapes.REGION, wanted["RoleName"]) is not None:
            message = f"Service role name {wanted['RoleName']} has been taken in this account, "
            raise errors.bad_input(f"{message}please try a different suffix.")
        return {"Role": roles.insert(connection, record)}

    return generation.write(call, work)


@operations.handles("DeleteServiceLinkedRole")
def delete_service_linked_role(call: Call, given: Document) -> Document:
    """Done when it is answered; the task is there to be asked about."""
    now = call.platform.clock.now()

    def work(connection: Connection) -> str:
        role = roles.find(connection, call.account, given["RoleName"])
        path = role.document["Path"]
        if not path.startswith(entities.SERVICE_PATH):
            raise errors.bad_input(f"Role {role.name} is not a service-linked role.")
        records.delete(connection, role)
        task = f"task{path}{role.name}/{uuid.uuid4()}"
        where = (call.account, shapes.REGION, _task_arn(call.account, task), None)
        records.insert(connection, Record(_TASK, *where, "SUCCEEDED", now, now, {}))
        return task

    return {"DeletionTaskId": generation.write(call, work)}


def _task_arn(account: str, task: str) -> str:
    return f"clary:iam-deletion-task/{account}/{task}"


@operations.handles("GetServiceLinkedRoleDeletionStatus")
def get_service_linked_role_deletion_status(call: Call, given: Document) -> Document:
    arn = _task_arn(call.account, given["DeletionTaskId"])
    record = call.platform.stores.records.read(lambda connection: records.by_arn(connection, arn))
    if record is None:
        raise errors.no_such(f"Deletion task {given['DeletionTaskId']} cannot be found.")
    return {"Status": record.status}
