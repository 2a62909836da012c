"""What the SDK's `distribution` becomes: who starts a script, and what the hosts are told of each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clary.runner import distribution, launchers
from clary.runner.distribution import Distribution, Unsupported

TORCHRUN, MPI = "sagemaker_torch_distributed_enabled", "sagemaker_mpi_enabled"
DATA_PARALLEL = "sagemaker_distributed_dataparallel_enabled"
SERVERS, WORKERS = "sagemaker_parameter_server_enabled", "sagemaker_multi_worker_mirrored_strategy_enabled"
SCRIPT = ["/e/bin/python", "train.py", "--epochs", "3"]


def resources(host: str, *groups: int) -> dict[str, Any]:
    """Of hosts in groups of these sizes, which are named by their numbers."""
    hosts = iter(f"algo-{n}" for n in range(1, 1 + sum(groups)))
    found = [
        {"instance_group_name": f"g{n}", "hosts": [next(hosts) for _ in range(size)]}
        for n, size in enumerate(groups, start=1)
    ]
    own = next(each["instance_group_name"] for each in found if host in each["hosts"])
    everybody = [each for group in found for each in group["hosts"]]
    return {"current_host": host, "current_group_name": own, "hosts": everybody, "instance_groups": found}


def asked(framework: str, host: str, *groups: int, **settings: Any) -> Distribution:
    return distribution.asked(settings, {}, resources(host, *groups), framework)


@pytest.mark.parametrize("setting", [TORCHRUN, DATA_PARALLEL, "sagemaker_pytorch_ddp_enabled"])
def test_torchrun_starts_the_processes_of_each_host(setting: str) -> None:
    spread = asked("pytorch", "algo-2", 2, **{setting: True, "sagemaker_mpi_num_of_processes_per_host": 4})
    assert launchers.of(spread, SCRIPT) == [
        *("/e/bin/python", "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "4"),
        *("--master_addr", "algo-1", "--master_port", "7777", "--node_rank", "1"),
        *("train.py", "--epochs", "3"),
    ]
    alone = launchers.of(asked("pytorch", "algo-1", 1, **{setting: True}), SCRIPT)
    assert alone[alone.index("--master_addr") + 1] == "localhost"
    for other in (["/e/bin/python", "-m", "package"], ["/bin/sh", "-c", "./run.sh"]):
        with pytest.raises(Unsupported, match="no package and no shell script"):
            launchers.of(spread, other)


def test_mpi_starts_all_from_the_first_host() -> None:
    settings = {MPI: True, "sagemaker_mpi_num_of_processes_per_host": "2"}
    options = "--NCCL_DEBUG=INFO -x A='b c' -x PATH"
    first = asked("tensorflow", "algo-1", 2, **settings, sagemaker_mpi_custom_mpi_options=options)
    assert first.leads and not asked("tensorflow", "algo-2", 2, **settings).leads
    assert launchers.of(first, SCRIPT) == [
        *("mpiexec.hydra", "-n", "4", "-hosts", "algo-1:2,algo-2:2"),
        *("-launcher", "rsh", "-launcher-exec", launchers.REMOTE_SHELL),
        *("-genv", "MPIR_CVAR_CH4_NETMOD", "ofi", "-genv", "FI_PROVIDER", "tcp", "-genv", "HWLOC_HIDE_ERRORS", "2"),
        *("-genv", "NCCL_DEBUG", "INFO", "-genv", "A", "b c"),
        *("/e/bin/python", "-c", "import mpi4py.MPI, mpi4py.run; mpi4py.run.main()", "train.py", "--epochs", "3"),
    ]
    assert "-hosts" not in launchers.of(asked("tensorflow", "algo-1", 1, **settings), SCRIPT)
    assert launchers.of(first, ["/bin/sh", "-c", "./run.sh"])[-3:] == ["/bin/sh", "-c", "./run.sh"]
    for wrong in ("-mca btl tcp", "-x 'A"):
        spread = asked("tensorflow", "algo-1", 2, **settings, sagemaker_mpi_custom_mpi_options=wrong)
        with pytest.raises(Unsupported, match="custom_mpi_options"):
            launchers.of(spread, SCRIPT)


def test_workers_have_ports_of_their_own() -> None:
    """Hosts share them."""
    spread = asked("tensorflow", "algo-2", 2, **{WORKERS: True})
    assert json.loads(launchers.told(spread)["TF_CONFIG"]) == {
        "cluster": {"worker": ["algo-1:8890", "algo-2:8891"]},
        "environment": "cloud",
        "task": {"type": "worker", "index": 1},
    }
    assert launchers.of(spread, SCRIPT) == SCRIPT
    alone = launchers.told(asked("tensorflow", "algo-1", 1, **{WORKERS: True}))
    assert json.loads(alone["TF_CONFIG"])["cluster"] == {"worker": ["algo-1:8890"]}
    assert launchers.told(asked("pytorch", "algo-1", 1, **{WORKERS: True})) == {}


def test_each_host_is_a_parameter_server_too() -> None:
    first, last = (asked("tensorflow", f"algo-{n}", 3, **{SERVERS: True}) for n in (1, 3))
    told = [json.loads(launchers.told(each)["TF_CONFIG"]) for each in (first, last)]
    cluster = {
        "master": ["algo-1:2222"],
        "worker": ["algo-2:2224", "algo-3:2226"],
        "ps": ["algo-1:2223", "algo-2:2225", "algo-3:2227"],
    }
    assert [each["cluster"] for each in told] == [cluster, cluster]
    assert [each["task"] for each in told] == [{"type": "master", "index": 0}, {"type": "worker", "index": 1}]
    assert json.loads(launchers.described(last, server=True))["task"] == {"type": "ps", "index": 2}
    assert asked("tensorflow", "algo-1", 1, **{SERVERS: True}).way == "alone"


def test_only_the_groups_that_are_named_take_part() -> None:
    settings = {MPI: True, "sagemaker_distribution_instance_groups": ["g2"]}
    assert asked("tensorflow", "algo-1", 1, 2, **settings).way == "alone"
    other = asked("tensorflow", "algo-3", 1, 2, **settings)
    assert (other.way, other.hosts, other.groups, other.port) == ("mpi", ("algo-2", "algo-3"), ("g2",), 7778)
    assert asked("pytorch", "algo-2", 1, 1, **{TORCHRUN: True}).hosts == ("algo-2",)  # as in AWS: its own group


@pytest.mark.parametrize(
    ("framework", "settings", "reason"),
    [
        ("tensorflow", {DATA_PARALLEL: True}, "is for scripts of PyTorch"),
        ("scikit-learn", {TORCHRUN: True}, "is for scripts of PyTorch"),
        ("pytorch", {SERVERS: True}, "is for scripts of TensorFlow"),
        ("pytorch", {WORKERS: True}, "is for scripts of TensorFlow"),
        ("pytorch", {"sagemaker_pytorch_xla_multi_worker_enabled": True}, "AWS's training compiler"),
        ("pytorch", {TORCHRUN: True, "sagemaker_mpi_num_of_processes_per_host": 0.5}, "no number from 1 to 4096"),
        ("pytorch", {MPI: True, "sagemaker_distribution_instance_groups": ["other"]}, "no instance group of this job"),
        ("pytorch", {MPI: True, "sagemaker_distribution_instance_groups": 5}, "has to be a list of names"),
    ],
)
def test_what_cannot_be_done_here_is_said(framework: str, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unsupported, match=f"^ClientError: .*{reason}"):
        asked(framework, "algo-1", 2, **settings)


RANKS = """[rank1]: Traceback (most recent call last):
[rank1]:   File "train.py", line 4, in inner
[rank0]: Traceback (most recent call last):
[rank1]: ValueError: no such column
[rank0]: RuntimeError: Connection closed by peer
E1121 18:05:41.094000 26 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: 1) local_rank: 1
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
train.py FAILED
"""


def test_the_words_of_the_process_that_failed_first_are_heard() -> None:
    spread = asked("pytorch", "algo-1", 1, **{TORCHRUN: True})
    whole = """Traceback (most recent call last):
  File "train.py", line 4, in inner
ValueError: no such column"""
    assert launchers.heard(spread, RANKS) == whole
    before_it_had_a_rank = "\n".join([whole, *RANKS.splitlines()[5:]])
    assert launchers.heard(spread, before_it_had_a_rank) == whole
    assert launchers.heard(spread, "no traceback") == "no traceback"
    assert launchers.heard(asked("pytorch", "algo-1", 1), RANKS) == RANKS


def test_nothing_is_spread_where_nothing_is_asked() -> None:
    settings = {TORCHRUN: False, "sagemaker_job_name": "j"}
    assert asked("pytorch", "algo-1", 2, **settings) == Distribution("alone", "algo-1")
    with pytest.raises(Unsupported, match=r"smdistributed\.modelparallel"):
        distribution.asked({MPI: True}, {"mp_parameters": {"partitions": 2}}, resources("algo-1", 1), "pytorch")
