"""Which ways of distribution are refused by name, and which ask for nothing on one host."""

from __future__ import annotations

import pytest

from clary.contract.layout import Layout
from clary.runner import variables
from clary.runner.variables import Script


@pytest.mark.parametrize(
    ("setting", "alone", "several"),
    [
        ("sagemaker_mpi_enabled", True, True),
        ("sagemaker_torch_distributed_enabled", True, True),
        ("sagemaker_parameter_server_enabled", False, True),
        ("sagemaker_multi_worker_mirrored_strategy_enabled", False, True),
        ("sagemaker_job_name", False, False),
    ],
)
def test_what_is_not_built_is_named(setting: str, alone: bool, several: bool) -> None:
    script = Script.of({setting: "true", "epochs": "1"}, {}, Layout())
    assert [variables.unbuilt(script.settings, hosts) for hosts in (1, 2)] == [
        setting if refused else "" for refused in (alone, several)
    ]
    off = Script.of({setting: "false"}, {}, Layout())
    assert variables.unbuilt(off.settings, 2) == ""
