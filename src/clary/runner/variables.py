"""The SM_* variables and the arguments that a training script gets, as AWS's training toolkit makes them of the three
configuration files. Standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clary.contract.layout import Layout
from clary.runner.distribution import Distribution

_OWN = "sagemaker_"
_TUNING = "_tuning_objective_metric"
_NAMED = frozenset(
    f"{_OWN}{name}"
    for name in (
        *("program", "submit_directory", "enable_cloudwatch_metrics", "region", "container_log_level", "job_name"),
        "s3_output",
    )
)
_MODULES = {
    "scikit-learn": "sagemaker_sklearn_container.training:main",
    "xgboost": "sagemaker_xgboost_container.training:main",
    "tensorflow": "sagemaker_tensorflow_container.training:main",
    "pytorch": "sagemaker_pytorch_container.training:main",
    "huggingface": "sagemaker_pytorch_container.training:main",
}
_INFO = 20


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be run. `user`: the user's hyperparameters; `settings`: those that the SDK added (their names begin
    with sagemaker_); values of both are decoded. `program`: the entry point, a path below the code's folder;
    `directory`: where the code came from; `job`: the job's name."""

    program: str
    directory: str
    user: Mapping[str, Any]
    settings: Mapping[str, Any]
    job: str | None = None

    @classmethod
    def of(cls, hyperparameters: Mapping[str, str], environment: Mapping[str, str], layout: Layout) -> Script:
        decoded = {name: decode(text) for name, text in hyperparameters.items()}
        settings = {name: value for name, value in decoded.items() if name.startswith(_OWN)}
        user = {name: value for name, value in decoded.items() if not name.startswith(_OWN) and name != _TUNING}
        program = environment.get("SAGEMAKER_PROGRAM") or settings.get("sagemaker_program") or ""
        directory = settings.get("sagemaker_submit_directory") or environment.get("SAGEMAKER_SUBMIT_DIRECTORY")
        return cls(str(program), str(directory or layout.code), user, settings, environment.get("TRAINING_JOB_NAME"))

    @property
    def module(self) -> str:
        return self.program.removesuffix(".py")


def decode(text: str) -> Any:
    """The SDK writes values as JSON; any other text stands for itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def arguments(user: Mapping[str, Any]) -> list[str]:
    """`--name value` in the order of the names; names of one letter have one dash."""
    found = []
    for name in sorted(user):
        found += [f"{'--' if len(name) > 1 else '-'}{name}", _argument(user[name])]
    return found


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={each}" for key, each in sorted(value.items()))
    return "" if value is None else str(value)


def variables(
    script: Script,
    layout: Layout,
    resources: Mapping[str, Any],
    channels: Mapping[str, Any],
    framework: str,
    spread: Distribution,
) -> dict[str, str]:
    facts = {
        **_places(layout),
        **_hosts(resources),
        "distribution_instance_groups": list(spread.groups),
        "channels": sorted(channels),
        "framework_module": _MODULES.get(framework),
        "framework_params": {name: value for name, value in script.settings.items() if name not in _NAMED},
        "hps": dict(script.user),
        "input_data_config": dict(channels),
        "log_level": script.settings.get("sagemaker_container_log_level", _INFO),
        "module_dir": script.directory,
        "module_name": script.module,
        "num_cpus": len(os.sched_getaffinity(0)),
        "num_gpus": 0,
        "num_neurons": 0,
        "user_entry_point": script.program,
    }
    named = {f"channel_{name}": str(layout.channel(name)) for name in channels}
    named |= {f"hp_{name}": value for name, value in script.user.items()}
    whole = {**facts, "training_env": _training_env(facts, script, spread), "user_args": arguments(script.user)}
    found = {f"SM_{name.upper()}": _text(value) for name, value in (whole | named).items()}
    return found | _rendezvous(resources["hosts"], spread)


def _rendezvous(hosts: Sequence[str], spread: Distribution) -> dict[str, str]:
    """Where the processes of several hosts meet, by the names that AWS's PyTorch containers set."""
    first = (spread.hosts or hosts)[0]
    return {"MASTER_ADDR": first, "MASTER_PORT": str(spread.port)} if len(hosts) > 1 else {}


def _places(layout: Layout) -> dict[str, Any]:
    return {
        "input_dir": str(layout.input),
        "input_config_dir": str(layout.config),
        "model_dir": str(layout.model),
        "output_dir": str(layout.output),
        "output_data_dir": str(layout.output_data),
        "output_intermediate_dir": str(layout.output / "intermediate"),
    }


def _hosts(resources: Mapping[str, Any]) -> dict[str, Any]:
    groups = {each["instance_group_name"]: each for each in resources["instance_groups"]}
    group = resources["current_group_name"]
    return {
        "current_host": resources["current_host"],
        "current_instance_group": group,
        "current_instance_group_hosts": groups[group]["hosts"],
        "current_instance_type": resources["current_instance_type"],
        "hosts": resources["hosts"],
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "network_interface_name": resources["network_interface_name"],
        "resource_config": dict(resources),
    }


def _training_env(facts: Mapping[str, Any], script: Script, spread: Distribution) -> dict[str, Any]:
    """The same once more as one object, under the names that the toolkit's class has."""
    renamed = {"hps": "hyperparameters", "framework_params": "additional_framework_parameters"}
    found = {renamed.get(name, name): value for name, value in facts.items() if name != "channels"}
    paths = {name: f"{facts['input_dir']}/data/{name}" for name in facts["channels"]}
    first = (spread.hosts or facts["hosts"])[0]
    return {
        **found,
        "channel_input_dirs": paths,
        "distribution_hosts": list(spread.hosts),
        "is_master": facts["current_host"] == first,
        "job_name": script.job,
        "master_hostname": first,
        "topology": [],
        # AWS's libraries for its own GPU instances
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))
