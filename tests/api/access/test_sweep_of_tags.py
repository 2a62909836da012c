"""Every operation about one thing knows its tags: who may do all to things of one tag does nothing to others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.model import OperationModel

from api.access.people import ACCOUNT, Person, allow
from api.test_sweeps import THERE, Raw, built, furnished, make, operations
from whole_server import WholeServer
from wire.generate import Values

__all__ = ["furnished"]

TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:sweep"
# By service: the members that name what is tagged.
TAGGED = {
    "iam": {"RoleName": "sweep", "UserName": "sweep"},
    "kms": {"KeyId": "alias/sweep"},
    "logs": {"logGroupName": "sweep"},
    "sagemaker": {"ModelName": "sweep", "EndpointConfigName": "sweep"},
    "sns": {"TopicArn": TOPIC},
}
# About something else, or about something besides.
OF_OTHERS = {
    *("AddUserToGroup", "RemoveUserFromGroup", "AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"),
    *("ListAliases", "RetireGrant", "ReplicateKey", "PutSubscriptionFilter", "ConfirmSubscription", "UpdateUser"),
    *("CreateEndpoint", "UpdateEndpoint"),
    *("CreateModel", "CreateEndpointConfig", "CreateUser", "CreateRole", "CreateLogGroup", "DeleteAlias"),
}

_NOT_ALLOWED = b"is not authorized to perform"


@pytest.fixture(scope="module")
def tagged(furnished: WholeServer) -> WholeServer:
    iam, kms, logs, sagemaker, sns = map(furnished.client, ("iam", "kms", "logs", "sagemaker", "sns"))
    pair = [{"Key": "team", "Value": "a"}]
    iam.tag_role(RoleName="sweep", Tags=pair)
    iam.tag_user(UserName="sweep", Tags=pair)
    key = kms.describe_key(KeyId="alias/sweep")["KeyMetadata"]["KeyId"]
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "a"}])
    logs.tag_log_group(logGroupName="sweep", tags={"team": "a"})
    for kind in ("model", "endpoint-config"):
        sagemaker.add_tags(ResourceArn=f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:{kind}/sweep", Tags=pair)
    make(sns.create_topic, Name="sweep")
    sns.tag_resource(ResourceArn=TOPIC, Tags=pair)
    return furnished


def of(server: WholeServer, team: str) -> Raw:
    """Somebody who may do everything to what is of that team."""
    raw = Raw(server, signed=True)
    condition = {"StringEquals": {"aws:ResourceTag/team": team}}
    raw.keys = Credentials(*Person(server, allow("*", Condition=condition)).keys)
    return raw


def asked(service: str) -> Iterator[tuple[OperationModel, dict[str, Any]]]:
    for operation in operations(service):
        shape = operation.input_shape
        if shape is None or not built(operation) or operation.name in OF_OTHERS:
            continue
        names = {name: text for name, text in TAGGED[service].items() if name in shape.required_members}
        if names:
            yield operation, Values(1).of(shape) | {name: THERE[name] for name in THERE if name in names} | names


@pytest.mark.parametrize("service", TAGGED)
def test_who_may_what_is_of_his_team(tagged: WholeServer, service: str) -> None:
    """What is made from the model alone may be refused for what it says; but nobody is told that he may not."""
    own, others = of(tagged, "a"), of(tagged, "b")
    wanted = [each for each in asked(service) if not each[0].name.startswith(("Delete", "Schedule"))]
    refused = [(each.name, *others.send(each, given)) for each, given in wanted]
    assert [each for each in refused if each[1] < 400] == []
    assert any(_NOT_ALLOWED in each[2] for each in refused)
    found = [(each.name, *own.send(each, given)) for each, given in wanted]
    assert [each for each in found if _NOT_ALLOWED in each[2]] == []
