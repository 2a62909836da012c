"""The reference pages: current, and true to the code that they are made from."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clary import services
from clary.config import Settings
from clary.reference import refusals
from clary.reference.__main__ import PAGES, main
from clary.reference.recorded import RECORDED
from clary.services import tables
from clary.wire.models import Models

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "compatibility.md"

MODELS = Models()


def test_the_committed_pages_are_current() -> None:
    assert main([str(ROOT / "docs" / "reference"), "--check"]) == 0


def test_check_finds_what_is_missing_and_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--check"]) == 1
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "settings.md").write_text("old")
    capsys.readouterr()
    assert main([str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'settings.md'} is out of date: run `make docs`\n"
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)


def test_every_setting_is_described() -> None:
    for field in dataclasses.fields(Settings):
        about = field.metadata.get("about", "")
        assert about.endswith("."), f"say in clary/config.py what {field.name} does"


def test_every_refusal_in_the_services_stands_in_the_page() -> None:
    """Independent of the generator's own search: each constant piece of text that a refusal names is looked for."""
    page = PAGE.read_text(encoding="utf-8")
    sites = [
        (path, node)
        for path in sorted((ROOT / "src" / "clary" / "services").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in refusals.REFUSING
    ]
    assert len(sites) > 20
    for path, call in sites:
        asked = call.args[-1]
        parts = asked.values if isinstance(asked, ast.JoinedStr) else getattr(asked, "elts", [asked])
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                assert part.value.strip() in page, f"{path}:{call.lineno}: {part.value!r}"


def test_s3_operations_say_what_they_understand() -> None:
    for name, handler in tables.OPERATIONS["s3"]:
        assert "understood" in vars(handler), name


@pytest.mark.parametrize(("service", "operation"), RECORDED)
def test_recorded_options_exist(service: str, operation: str) -> None:
    model = MODELS.service(service).operation_model(operation)
    assert tables.OPERATIONS[service].find(operation) is not None
    for path in RECORDED[service, operation]:
        shape = model.input_shape
        for step in path.split("."):
            shape = shape.members[step.removesuffix("[]")]
            if step.endswith("[]"):
                shape = shape.member


@pytest.mark.parametrize("service", ["iam", "kms", "logs", "sagemaker", "sts"])
def test_no_option_of_a_built_operation_is_overlooked(service: str) -> None:
    """Each member that a client can send is named in the service's code, refused, or recorded with a reason. S3's guard
    refuses by itself what a handler does not name."""
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in (f"services/{service}", "serving")
        for path in (ROOT / "src" / "clary" / folder).rglob("*.py")
    ) + (ROOT / "src" / "clary" / "services" / "resources.py").read_text(encoding="utf-8")
    refused = refusals.by_name(getattr(services, service))
    overlooked = [
        f"{operation}: {path}"
        for operation, _ in tables.OPERATIONS[service]
        if operation != "SimulatePrincipalPolicy"  # refused as a whole
        for path, name in members(MODELS.service(service).operation_model(operation).input_shape, "")
        if name not in code and not covered(path, refused.get(operation, []), RECORDED.get((service, operation), {}))
    ]
    assert not overlooked


def members(shape: Any, path: str, above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    if shape is None or shape.name in above:
        return
    for name, member in shape.members.items():
        yield path + name, name
        inner, end = (member.member, "[].") if member.type_name == "list" else (member, ".")
        if inner.type_name == "structure":
            yield from members(inner, path + name + end, (*above, shape.name))


def covered(path: str, *listed: Iterable[str]) -> bool:
    """By its path, by a member above it, or by its bare name, as a container's members are listed."""
    steps = path.replace("[]", "").split(".")
    above = {".".join(steps[:end]) for end in range(1, len(steps) + 1)} | set(steps)
    return any(each.replace("[]", "") in above for some in listed for each in some)
