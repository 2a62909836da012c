"""What the SDK's `distribution` asks of AWS's training toolkits, by settings among the hyperparameters: how many
processes run a script on which hosts, and who starts them. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Way = Literal["alone", "torchrun", "mpi", "parameter-servers", "workers"]

_MPI = "sagemaker_mpi_enabled"
_LIBRARY = "sagemaker_distributed_dataparallel_enabled"  # what newer SDKs make of pytorchddp, too
_TORCHRUN = ("sagemaker_torch_distributed_enabled", "sagemaker_pytorch_ddp_enabled", _LIBRARY)
_NOTE = (
    "AWS's library for data parallel training is for its GPU instances. Here torchrun starts the script, whose "
    "processes find each other by torch.distributed."
)
_COMPILER = "sagemaker_pytorch_xla_multi_worker_enabled"
_TENSORFLOW: tuple[tuple[str, Way], ...] = (
    ("sagemaker_parameter_server_enabled", "parameter-servers"),
    ("sagemaker_multi_worker_mirrored_strategy_enabled", "workers"),
)
_ANY = (_MPI, *_TORCHRUN, _COMPILER, *(name for name, _ in _TENSORFLOW))
_GROUPS = "sagemaker_distribution_instance_groups"
_PER_HOST, _ALL = "sagemaker_mpi_num_of_processes_per_host", "sagemaker_mpi_num_processes"
_OPTIONS = "sagemaker_mpi_custom_mpi_options"
_MODEL_PARALLEL = "mp_parameters"
_FIRST_PORT = 7777
_TO_OWN = 1000
_MOST = 4096  # processes of a job: what a host may have


class Unsupported(Exception):
    """It cannot be done here: ends the job; the text, which says why, is the failure file's."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"ClientError: {reason}")


@dataclass(frozen=True, slots=True)
class Distribution:
    """`way`: who starts the script on this host: "alone" nobody but us, "workers" us with TensorFlow's description of
    the hosts. `groups` are the instance groups that it is spread over, `hosts` theirs, of which `host` is this one and
    the first leads; () where nothing is spread. `processes`: on each host; `total`: on all. `options`: further words
    for mpirun. `port`: where the processes meet, on the first host. `note` is for the log: what is done instead."""

    way: Way
    host: str
    hosts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    processes: int = 1
    total: int = 1
    options: str = ""
    port: int = _FIRST_PORT
    note: str = ""

    @property
    def rank(self) -> int:
        """This host's place among the hosts."""
        return self.hosts.index(self.host)

    @property
    def own_port(self) -> int:
        """Where hosts meet for this package's own purposes: `port` is for the script to use."""
        return self.port + _TO_OWN

    @property
    def leads(self) -> bool:
        return self.rank == 0


def asked(
    settings: Mapping[str, Any], user: Mapping[str, Any], resources: Mapping[str, Any], framework: str
) -> Distribution:
    """`settings` and `user` as in clary.runner.variables.Script, `resources` as in resourceconfig.json. Raises
    Unsupported."""
    host, group = resources["current_host"], resources["current_group_name"]
    if not any(settings.get(each) for each in _ANY):
        return Distribution("alone", host)
    given = settings.get(_GROUPS) or [group]
    if not isinstance(given, list):
        raise Unsupported(f"{_GROUPS} has to be a list of names of instance groups.")
    groups = tuple(given)
    hosts = tuple(name for each in _groups(resources, groups) for name in each["hosts"])
    way = _way(settings, user, framework, len(hosts)) if group in groups else "alone"
    processes = _count(settings, _PER_HOST, 1)
    total = _count(settings, _ALL, processes * len(hosts))
    # Hosts share their ports: the processes of another group meet elsewhere.
    port = _FIRST_PORT + resources["hosts"].index(hosts[0])
    options, note = str(settings.get(_OPTIONS) or ""), _NOTE if way == "torchrun" and settings.get(_LIBRARY) else ""
    return Distribution(way, host, hosts, groups, processes, total, options, port, note)


def _groups(resources: Mapping[str, Any], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Of the job, those of these names."""
    found = [each for each in resources["instance_groups"] if each["instance_group_name"] in names]
    if not found:
        raise Unsupported(f"{_GROUPS} names no instance group of this job.")
    return found


def _way(settings: Mapping[str, Any], user: Mapping[str, Any], framework: str, hosts: int) -> Way:
    if settings.get(_MPI):
        if user.get(_MODEL_PARALLEL):
            raise Unsupported("smdistributed.modelparallel is a library of AWS's for its GPU instances.")
        return "mpi"
    if settings.get(_COMPILER):
        raise Unsupported("pytorchxla is for AWS's training compiler, which needs its GPU instances.")
    for each in (name for name in _TORCHRUN if settings.get(name)):
        if framework not in ("pytorch", "huggingface"):
            raise Unsupported(f"{each} is for scripts of PyTorch here, not of {framework}.")
        return "torchrun"
    name, way = _TENSORFLOW[0] if settings.get(_TENSORFLOW[0][0]) else _TENSORFLOW[1]
    if framework != "tensorflow" and hosts > 1:
        raise Unsupported(f"{name} is for scripts of TensorFlow, not of {framework}.")
    served = way == "parameter-servers" and hosts > 1
    return way if served or (way == "workers" and framework == "tensorflow") else "alone"


def _count(settings: Mapping[str, Any], name: str, usual: int) -> int:
    given = settings.get(name) or usual
    if not str(given).isdecimal() or not 0 < int(given) <= _MOST:
        raise Unsupported(f"{name} is {given!r}, which is no number from 1 to {_MOST}.")
    return int(given)
