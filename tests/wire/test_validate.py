"""Constraints in AWS's words, and patterns that must never hang."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from botocore.model import Shape

from clary.errors import ServiceError
from clary.wire import patterns
from clary.wire.models import SERVICES, Models
from clary.wire.validate import validate

MODELS = Models()


def shape(operation: str, service: str = "sagemaker") -> Shape:
    found = MODELS.service(service).operation_model(operation).input_shape
    assert found is not None
    return found


def message(operation: str, params: dict[str, Any], service: str = "sagemaker") -> str:
    with pytest.raises(ServiceError) as caught:
        validate(shape(operation, service), params)
    assert (caught.value.code, caught.value.status) == ("ValidationException", 400)
    return caught.value.message


def test_pattern() -> None:
    assert message("DescribeTrainingJob", {"TrainingJobName": "not_a_name"}) == (
        "1 validation error detected: Value 'not_a_name' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_required_members_are_counted() -> None:
    told = message("CreateModel", {"ModelName": None, "PrimaryContainer": {"ModelPackageName": "x"}})
    assert told == (
        "1 validation error detected: Value null at 'modelName' failed to satisfy constraint: Member must not be null"
    )
    told = message("CreateTransformJob", {})
    assert told.startswith("5 validation errors detected: Value null at 'transformJobName' failed")
    assert told.count("; ") == 4


def test_nested_paths_and_enumerations() -> None:
    told = message("ListModels", {"SortBy": "Size"})
    assert told.endswith(
        "at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: [Name, CreationTime]"
    )
    told = message(
        "AddTags", {"ResourceArn": "arn:aws:sagemaker:eu-west-1:1:model/m", "Tags": [{"Key": "a" * 129, "Value": "v"}]}
    )
    assert (
        "at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128" in told
    )


def test_ranges_and_lists() -> None:
    assert message("ListModels", {"MaxResults": 101}).endswith("Member must have value less than or equal to 100")
    config = {"SecurityGroupIds": ["bad group"], "Subnets": ["subnet-1"]}
    assert message("CreateModel", {"ModelName": "m", "VpcConfig": config}).endswith(
        "Value '[bad group]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must have length less than or equal to 32, "
        "Member must satisfy regular expression pattern: [-0-9a-zA-Z]+]"
    )


def test_maps() -> None:
    told = message("CreateModel", {"ModelName": "m", "PrimaryContainer": {"Environment": {"1-": "v"}}})
    assert "at 'primaryContainer.environment' failed to satisfy constraint: Map keys must satisfy constraint: [" in told


def test_good_parameters_pass() -> None:
    tags = [{"Key": "Größe", "Value": "日本 ok"}]
    validate(shape("CreateModel"), {"ModelName": "m-1", "Tags": tags, "PrimaryContainer": {"Environment": {"A": ""}}})
    assert "Value '" in message("CreateModel", {"ModelName": "m-1", "Tags": [{"Key": "a#", "Value": "b"}]})
    validate(None, {})


def test_a_secret_is_not_told() -> None:
    told = message("CreateUser", {"UserName": "u", "PermissionsBoundary": "x"}, "iam")
    assert "'x'" in told
    told = message("CreateLoginProfile", {"UserName": "u", "Password": ""}, "iam")
    assert "Value at 'password'" in told


def all_patterns() -> dict[str, int]:
    found: dict[str, int] = {}
    for service in SERVICES:
        model = MODELS.service(service)
        for name in model.shape_names:
            metadata = model.shape_for(name).metadata
            if metadata.get("pattern"):
                found[metadata["pattern"]] = int(metadata.get("max") or 1000)
    return found


def test_every_pattern_can_be_expressed() -> None:
    for pattern in all_patterns():
        re.compile(patterns.translate(pattern), re.ASCII)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\p{L}\p{N}]+", ["ab1", "日é"], ["", "a b"]),
        (r"\P{L}+", ["1 2"], ["a"]),
        (r"arn:[\p{Alnum}\-]+", ["arn:a-1"], ["arn:é"]),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", ["a\t😀"], ["\x01"]),
        (r"[\w-_]*", ["a-_"], ["a b"]),
        (r"([\p{L}]*)${1,128}", ["abc", ""], ["1"]),
        (r"https://([.\-_a-zA-Z0-9]+/?){3,1016}", ["https://a.b", "https://a/b/c/"], ["https://ab", "https://a//bc"]),
        (r".*(?:[ \r\n\t].*)*", ["", "a\n b"], []),
        (r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$", ["a", "\ta b\t", " "], ["", "\t", "é"]),
        (r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$", ["a", "a/b-c*"], ["", "/a", "a--b", "a-"]),
    ],
)
def test_languages(pattern: str, good: list[str], bad: list[str]) -> None:
    assert all(patterns.matches(pattern, text) for text in good)
    assert not any(patterns.matches(pattern, text) for text in bad)


def test_no_pattern_hangs() -> None:
    """Runs of what each pattern allows, ended by what it does not, in a process that can be stopped."""
    script = """
        import sys; sys.path[:0] = ["tests"]
        from clary.wire import patterns
        from wire.test_validate import all_patterns
        for pattern, longest in all_patterns().items():
            length = min(longest, 400)
            for start in ("", "a", "a/", "https://", "arn:aws:sagemaker:eu-west-1:123456789012:x/", "mig-1g.5gb"):
                for run in ("a", "0", "-", "a-", "a.", "a/", " ", " a", "_", "/", "a_", "1."):
                    text = (start + run * length)[:length]
                    print(repr(pattern), repr(text[:40]), flush=True)
                    patterns.matches(pattern, text + "!")
                    patterns.matches(pattern, text + "\\n\\0")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
