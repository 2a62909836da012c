"""Which of a request to SageMaker are roles that it passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.model import ListShape, Shape, StructureShape

from clary.services.access.sagemaker import ROLES, roles
from clary.wire.models import Models

ARN = "arn:aws:iam::123456789012:role/r"


def places(shape: Shape | None, way: tuple[str, ...] = (), within: tuple[str, ...] = ()) -> Iterator[str]:
    """The ways to roles among the members that the model knows."""
    if isinstance(shape, ListShape):
        yield from places(shape.member, way, within)
    if isinstance(shape, StructureShape) and shape.name not in within:
        for name, member in shape.members.items():
            if name in ("RoleArn", "ExecutionRoleArn"):
                yield ".".join((*way, name))
            yield from places(member, (*way, name), (*within, shape.name))


def test_they_are_where_the_model_has_them() -> None:
    model = Models().service("sagemaker")
    found = {each for name in model.operation_names for each in places(model.operation_model(name).input_shape)}
    assert found == set(ROLES)


@pytest.mark.parametrize("member", ["HyperParameters", "Environment"])
def test_what_users_name_is_none(member: str) -> None:
    assert list(roles({"RoleArn": ARN, member: {"RoleArn": "x", "ExecutionRoleArn": "y"}})) == [ARN]


def test_each_of_a_list_passes_its_own() -> None:
    definitions = [{"RoleArn": ARN, "Environment": {"RoleArn": "x"}}, {"RoleArn": ARN + "2"}]
    assert list(roles({"TrainingJobDefinitions": definitions})) == [ARN, ARN + "2"]
