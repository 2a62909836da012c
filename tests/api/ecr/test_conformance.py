"""The conformance suite of the OCI distribution specification, all four of its workflows. Its program is what
`go test -c` makes of the specification's folder `conformance`; the variable OCI_CONFORMANCE says where it is."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.access.people import unique
from api.ecr.conftest import token_of
from whole_server import WholeServer

WORKFLOWS = ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")


def test_the_suite_of_the_specification(server: WholeServer, ecr: Any, tmp_path: Path) -> None:
    program = os.environ.get("OCI_CONFORMANCE")
    if not program:
        pytest.skip("OCI_CONFORMANCE names no program")
    names = [unique("conformance/app") for _ in range(2)]
    for name in names:
        ecr.create_repository(repositoryName=name)
    variables = {
        "OCI_ROOT_URL": server.url,
        "OCI_NAMESPACE": names[0],
        "OCI_CROSSMOUNT_NAMESPACE": names[1],
        "OCI_USERNAME": "AWS",
        "OCI_PASSWORD": base64.b64decode(token_of(ecr)).decode().partition(":")[2],
        **{f"OCI_TEST_{workflow}": "1" for workflow in WORKFLOWS},
    }
    done = subprocess.run([program], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    for name in names:
        ecr.delete_repository(repositoryName=name, force=True)
    assert done.returncode == 0, done.stdout
    assert "0 Failed" in done.stdout
