from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_bench import ARN, model

Aws = Callable[[str], Any]

MODEL = f"{ARN}:model/m"


def tags(client: Any) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in client.list_tags(ResourceArn=MODEL)["Tags"]}


def test_tags_come_with_creation_and_change_later(aws: Aws) -> None:
    client = aws("sagemaker")
    client.create_model(**model("m"), Tags=[{"Key": "a", "Value": "1"}])
    added = client.add_tags(ResourceArn=MODEL, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    assert added["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    assert tags(client) == {"a": "2", "b": ""}
    client.delete_tags(ResourceArn=MODEL, TagKeys=["a", "unknown"])
    assert tags(client) == {"b": ""}
    client.delete_model(ModelName="m")
    client.create_model(**model("m"))
    assert tags(client) == {}


def test_what_is_refused(aws: Aws) -> None:
    client = aws("sagemaker")
    with pytest.raises(ClientError, match=f'Could not find model "{MODEL}"'):
        client.list_tags(ResourceArn=MODEL)
    client.create_model(**model("m"))
    for given in (
        [{"Key": f"k{n}", "Value": ""} for n in range(51)],
        [{"Key": "same", "Value": "1"}, {"Key": "same", "Value": "2"}],
        [{"Key": "aws:mine", "Value": "1"}],
    ):
        with pytest.raises(ClientError) as refused:
            client.add_tags(ResourceArn=MODEL, Tags=given)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert tags(client) == {}
    with pytest.raises(ClientError):
        client.list_tags(ResourceArn=MODEL.replace("123456789012", "999999999999"))
