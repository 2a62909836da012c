"""The commands that start a script in several processes, and TensorFlow's description of a job's hosts. Pure functions;
standard library only.

All hosts of a job share their ports, so where AWS's toolkits give each host the same one, each has one of its own.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clary.runner.distribution import Distribution, Unsupported

_WORKER_PORT = 8890  # of multi_worker_mirrored_strategy
_MASTER_PORT = 2222  # of the processes that parameter servers serve; two for each host
REMOTE_SHELL = "/tmp/remote-shell"  # a program, given a host and a command for it
_MODULE = "-m"
_UNDER_MPI = "import mpi4py.MPI, mpi4py.run; mpi4py.run.main()"
_TRACEBACK = "Traceback (most recent call last):"
_OF_TORCHRUN = re.compile(r"[IWE]\d{4} \d\d:\d\d:\d\d\.")  # begins the lines of its log
# No sandbox has a /sys, where UCX looks for networks, and hwloc for cores.
_IN_A_SANDBOX = {"MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp", "HWLOC_HIDE_ERRORS": "2"}


def of(spread: Distribution, command: Sequence[str]) -> list[str]:
    """What starts the script that `command` would start once: a .py file by its Python, a module, or a shell's script.
    Raises Unsupported."""
    if spread.way == "torchrun":
        return _torchrun(spread, command)
    return _mpiexec(spread, command) if spread.way == "mpi" else list(command)


def told(spread: Distribution) -> dict[str, str]:
    """Variables for the script."""
    return {"TF_CONFIG": described(spread)} if spread.way in ("workers", "parameter-servers") else {}


def _torchrun(spread: Distribution, command: Sequence[str]) -> list[str]:
    python, *words = command
    if words[0] == _MODULE or not words[0].endswith(".py"):
        raise Unsupported("torch_distributed starts a .py file as entry_point, no package and no shell script.")
    return [
        *(python, _MODULE, "torch.distributed.run"),
        *("--nnodes", str(len(spread.hosts)), "--nproc_per_node", str(spread.processes)),
        *("--master_addr", spread.hosts[0] if len(spread.hosts) > 1 else "localhost"),
        *("--master_port", str(spread.port)),
        *("--node_rank", str(spread.rank)),
        *words,
    ]


def heard(spread: Distribution, said: str) -> str:
    """Of what came on stderr, the words of the process that failed first: torchrun ends the others, which say so, and
    then says at length that it has."""
    lines = said.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.endswith(_TRACEBACK)), None)
    if spread.way != "torchrun" or begin is None:
        return said
    prefix = lines[begin].removesuffix(_TRACEBACK)  # of its rank, where it has one already
    own = [line.removeprefix(prefix) for line in lines[begin:] if line.startswith(prefix)]
    return "\n".join(itertools.takewhile(lambda line: not _OF_TORCHRUN.match(line), own))


def _mpiexec(spread: Distribution, command: Sequence[str]) -> list[str]:
    """By MPICH's launcher, which needs no network but a loopback; Open MPI's does. A Python script runs under mpi4py,
    which ends all processes when one raises something, once it is part of MPI: so it is from the beginning."""
    program, *words = command
    hosts = ",".join(f"{host}:{spread.processes}" for host in spread.hosts)
    several = ("-hosts", hosts, "-launcher", "rsh", "-launcher-exec", REMOTE_SHELL)
    return [
        *("mpiexec.hydra", "-n", str(spread.total), *(several if len(spread.hosts) > 1 else ())),
        *(word for name, value in _IN_A_SANDBOX.items() for word in ("-genv", name, value)),
        *_of_open_mpi(spread.options),
        *((program, "-c", _UNDER_MPI) if program.endswith("python") else (program,)),
        *words,
    ]


def _of_open_mpi(options: str) -> Iterator[str]:
    """The same for MPICH. Raises Unsupported."""
    words = iter(_split(options))
    for word in words:
        name, _, value = word.partition("=")
        if name == "--NCCL_DEBUG":
            yield from ("-genv", "NCCL_DEBUG", value or next(words, "WARN"))
        elif word == "-x":
            name, given, value = next(words, "").partition("=")
            yield from ("-genv", name, value) if given else ()  # by itself every variable is handed on
        else:
            raise Unsupported(
                f"{word} in custom_mpi_options is not known here, where MPICH starts the processes: of Open MPI's "
                "options -x and --NCCL_DEBUG are."
            )


def _split(options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError as error:
        raise Unsupported(f"custom_mpi_options cannot be read: {error}") from error


def described(spread: Distribution, *, server: bool = False) -> str:
    """TF_CONFIG of this host's part: a worker, or with `server` the parameter server beside it."""
    return json.dumps(_workers(spread) if spread.way == "workers" else _served(spread, server))


def _workers(spread: Distribution) -> dict[str, Any]:
    addresses = _addresses(enumerate(spread.hosts, start=_WORKER_PORT))
    return _described({"worker": addresses}, "worker", spread.rank)


def _served(spread: Distribution, server: bool) -> dict[str, Any]:
    hosts, rank = spread.hosts, spread.rank
    first, *others = _addresses((_MASTER_PORT + 2 * index, host) for index, host in enumerate(hosts))
    servers = _addresses((_MASTER_PORT + 2 * index + 1, host) for index, host in enumerate(hosts))
    cluster = {"master": [first], "ps": servers, "worker": others}
    if server:
        return _described(cluster, "ps", rank)
    return _described(cluster, "worker", rank - 1) if rank else _described(cluster, "master", 0)


def _addresses(pairs: Iterable[tuple[int, str]]) -> list[str]:
    return [f"{host}:{port}" for port, host in pairs]


def _described(cluster: dict[str, list[str]], kind: str, index: int) -> dict[str, Any]:
    return {"cluster": cluster, "environment": "cloud", "task": {"type": kind, "index": index}}
