"""Which file of requirements a driver of the SDKs will install from, by what is in the channels."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clary.agent import drivers
from clary.agent.failures import ClientFailure
from clary.contract.instance import Image, InstanceSpec
from clary.contract.layout import Layout

NEEDS = "sagemaker_remote_function_workspace/needs.txt"
DEPENDENCIES = '{"dependency_file": "needs.txt"}'


def spec(*arguments: str) -> InstanceSpec:
    names = dict.fromkeys(("id", "job_name", "job_arn", "account", "region", "role_arn", "token", "link"), "x")
    image = Image("framework", "uri", "scikit-learn", "environment")
    return InstanceSpec(purpose="training", image=image, log_group="g", log_stream="s", arguments=arguments, **names)


def found(base: Path, *arguments: str) -> tuple[str, str] | None:
    """(the file's text, its name)"""
    asked = drivers.requirements(spec(*arguments), Layout(base), base / "scratch")
    return asked and ((asked[0] / asked[1]).read_text(), asked[1])


def put(base: Path, path: str, content: bytes) -> None:
    target = base / "input" / "data" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def described(base: Path, **source: Any) -> None:
    put(base, "sm_drivers/sourcecode.json", json.dumps(source).encode())


def workspace(base: Path, needs: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(NEEDS, needs)
    put(base, "sm_rf_user_ws/workspace.zip", packed.getvalue())


def test_nothing_but_a_driver_asks_for_requirements(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    put(tmp_path, "code/requirements.txt", b"a")
    described(tmp_path, source_dir="source", requirements=None)
    assert found(tmp_path) is None


def test_of_the_trainer_s_folder_or_archive(tmp_path: Path) -> None:
    put(tmp_path, "code/needs.txt", b"a")
    put(tmp_path, "code/requirements.txt", b"b")
    described(tmp_path, source_dir="source", requirements="needs.txt")
    assert found(tmp_path) == ("a", "needs.txt")
    described(tmp_path, source_dir="source", requirements="auto")
    assert found(tmp_path) == ("b", "requirements.txt")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("needs.txt")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"c"))
    put(tmp_path, "code/code.tar.gz", packed.getvalue())
    described(tmp_path, source_dir="s3://bucket/code.tar.gz", requirements="needs.txt")
    assert found(tmp_path) == ("c", "needs.txt")


def test_of_a_remote_function_s_workspace(tmp_path: Path) -> None:
    workspace(tmp_path, "a")
    assert found(tmp_path) is None
    assert found(tmp_path, "--dependency_settings") is None
    assert found(tmp_path, "--dependency_settings", '{"dependency_file": null}') is None
    assert found(tmp_path, "--dependency_settings", '{"dependency_file": "env.yml"}') is None
    assert found(tmp_path, "--dependency_settings", '{"dependency_file": "other.txt"}') is None
    assert found(tmp_path, "--dependency_settings", DEPENDENCIES) == ("a", "needs.txt")


def test_the_sdk_that_calls_a_function_is_the_client_s(tmp_path: Path) -> None:
    client = ("--client_sagemaker_pysdk_version", "2.257.7", "--dependency_settings")
    assert found(tmp_path, *client, '{"dependency_file": null}') == ("\nsagemaker==2.257.7\n", "requirements.txt")
    for text in ("numpy==2.3.4", "sagemaker-mlflow"):
        workspace(tmp_path, text)
        assert found(tmp_path, *client, DEPENDENCIES) == (f"{text}\nsagemaker==2.257.7\n", "needs.txt")
    for text in ("sagemaker>=2.250", "a\n Sagemaker[local]\n", "sagemaker-core==2.27.0"):
        workspace(tmp_path, text)
        assert found(tmp_path, *client, DEPENDENCIES) == (text, "needs.txt")


@pytest.mark.parametrize("path", ["sm_drivers/sourcecode.json", "sm_rf_user_ws/workspace.zip"])
def test_what_cannot_be_read_is_the_client_s_failure(tmp_path: Path, path: str) -> None:
    put(tmp_path, path, b"\xff no such format")
    with pytest.raises(ClientFailure, match="cannot be read"):
        found(tmp_path, "--dependency_settings", DEPENDENCIES)


@pytest.mark.parametrize(
    ("offset", "of_the_directory", "value"),
    [(30 + len(NEEDS), None, b"\xff" * 8), (6, 8, b"\x01"), (8, 10, b"\x63")],
    ids=["damaged", "encrypted", "packed in an unknown way"],
)
def test_an_archive_that_cannot_be_unpacked_is_the_client_s_failure(
    tmp_path: Path, offset: int, of_the_directory: int | None, value: bytes
) -> None:
    """Bytes of the file's header, and of its entry in the archive's directory, are others than they should be."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NEEDS, "a\n" * 100)
    content = bytearray(packed.getvalue())
    content[offset : offset + len(value)] = value
    if of_the_directory is not None:
        begin = content.rfind(b"PK\x01\x02") + of_the_directory
        content[begin : begin + len(value)] = value
    put(tmp_path, "sm_rf_user_ws/workspace.zip", bytes(content))
    with pytest.raises(ClientFailure, match="cannot be read"):
        found(tmp_path, "--dependency_settings", DEPENDENCIES)


def test_an_archive_of_too_many_files_is_the_client_s_failure(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(NEEDS, "a")
        for number in range(200):
            archive.writestr(f"{number}{'n' * 60_000}", "")
    put(tmp_path, "sm_rf_user_ws/workspace.zip", packed.getvalue())
    with pytest.raises(ClientFailure, match="names more files than fit"):
        found(tmp_path, "--dependency_settings", DEPENDENCIES)
