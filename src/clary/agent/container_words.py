"""What the container engine is told of an instance's container: words, and files beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clary.agent.cell import Request
from clary.agent.failures import ClientFailure
from clary.contract.folder import InstanceFolder, container_name, write_whole
from clary.contract.instance import InstanceSpec
from clary.sandbox import INSIDE_AUTHORITIES, Confinement, engine, profile
from clary.sandbox.confinement import INSIDE_BASE, id_range

_MOST_PROCESSES = 4096
# What root of a container needs for its own files, ids and ports.
_CAPABILITIES = (
    *(
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
    ),
    "SYS_CHROOT",
)
_SETTINGS = f"[containers]\ndefault_sysctls = []\ndefault_capabilities = {json.dumps(_CAPABILITIES)}\n"
# One by one: what an image has beside them (its code) stays, and a volume that it declares for one is not in its way.
_FOLDERS = ("input", "model", "output", "checkpoints")
_LONGEST_LINE = 60 * 1024  # bytes: what engines take of a line in a file of variables
# Read by the engine, by what it starts or by the shell that starts it, from their own environment.
_READ_BY_ENGINES = re.compile(
    r"(CONTAINERS?|PODMAN|BUILDAH|STORAGE|REGISTRY|REGISTRIES|NETAVARK|DOCKER|OCI|CNI|XDG|LD|GO|G|LC|DBUS|LISTEN|NOTIFY"
    r"|SYSTEMD|INVOCATION|SSL|BASH|SHELL|MALLOC|GLIBC|GCONV)_.*|_.*|GO[A-Z]+|LANG|LANGUAGE|LOCPATH|NLSPATH|CHARSET|ZONEINFO"
    r"|PATH|HOME|USER|TMPDIR|TZ|TERM|ENV|IFS|OPTIND|OPTARG|LINENO|GROUPS|E?UID|P?PID|MAINPID|PS[0-9]|PWD|OLDPWD|SHELL"
    r"|SHELLOPTS|BASHOPTS|POSIXLY_CORRECT|.*_PROXY|.*_proxy"
)


@dataclass(frozen=True, slots=True)
class Files:
    """What is beside a container, in its instance's folder."""

    folder: InstanceFolder

    @property
    def hosts(self) -> Path:
        """Its /etc/hosts: the engine's own would name what is on this machine."""
        return self.folder.path / "hosts"

    @property
    def settings(self) -> Path:
        """Of the engine, in place of the machine's: these would have a container set kernel parameters of a network
        namespace that is not its own, which it may not. The engine itself would give it more capabilities."""
        return self.folder.path / "engine.conf"

    @property
    def variables(self) -> Path:
        """Its environment, for the engine to read: in arguments everybody would see it. 0600."""
        return self.folder.path / "variables"

    @property
    def authorities(self) -> Path:
        return self.folder.path / "authorities.pem"

    @property
    def calls(self) -> Path:
        """The system calls that it may make."""
        return self.folder.path / "calls.json"

    @property
    def process(self) -> Path:
        """The pid of its first process, as this machine counts; written by the engine once there is one."""
        return self.folder.path / "container.pid"

    @property
    def monitor(self) -> Path:
        """The pid of the process that the engine leaves beside it, to note its end; written likewise."""
        return self.folder.path / "monitor.pid"

    def write(self, confinement: Confinement, environment: Mapping[str, str]) -> None:
        names = dict.fromkeys((*confinement.hosts, confinement.hostname))  # the same addresses for all hosts of a job
        addresses = [f"127.0.0.{index} {each}\n" for index, each in enumerate(names, start=2)]
        write_whole(self.hosts, "".join(["127.0.0.1 localhost\n", *addresses]))
        lines = (f"{each}={value}\n" for each, value in environment.items() if _fits_a_line(value))
        write_whole(self.variables, "".join(lines), mode=0o600)
        write_whole(self.authorities, confinement.authorities)
        write_whole(self.settings, _SETTINGS)
        calls = profile.stricter()
        if calls:
            write_whole(self.calls, calls)
        write_whole(self.folder.container, "")


def words(spec: InstanceSpec, request: Request, network: str, files: Files) -> list[str]:
    """The engine's words for the container of an instance, once its files are written. The image's entry point gets the
    argument `train` or `serve`, or what the request gives in place of them. It is not deleted when it ends: how that
    was could not be asked any more."""
    confinement = request.confinement
    entry = ["--entrypoint", json.dumps(list(spec.entrypoint))] if spec.entrypoint else []
    return [
        *("run", "--detach", "--name", container_name(spec.id), "--label", f"clary.instance={spec.id}"),
        *("--pull", "never", "--no-healthcheck", "--systemd", "false", "--http-proxy=false"),
        *("--log-driver", "passthrough", "--pidfile", str(files.process), "--conmon-pidfile", str(files.monitor)),
        *("--env-file", str(files.variables), *(f"--env={each}" for each in by_environment(request.environment))),
        *("--network", f"ns:{network}", "--hostname", spec.host, "--no-hosts"),
        # what engines mount there by themselves is on this machine, where it may be busy when they delete it
        *("--ipc", "none", "--tmpfs", "/dev/shm:rw,nosuid,nodev,mode=1777"),
        *_identities(spec.id),
        *("--security-opt", "no-new-privileges", "--security-opt", "mask=/sys/class/net"),
        *(("--security-opt", f"seccomp={files.calls}") if files.calls.exists() else ()),
        *("--pids-limit", str(_MOST_PROCESSES), *_memory(spec.memory), *engine.limits()),
        *_volumes(confinement, files),
        *entry,
        spec.image.container,
        *_arguments(spec),
    ]


def by_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Of the container's variables those that no line of a file can hold: the engine finds them in its own environment,
    which nobody but root may read. Raises ClientFailure for one that it would take for its own."""
    found = {name: value for name, value in environment.items() if not _fits_a_line(value)}
    for name, value in found.items():
        if "\0" in value:
            raise ClientFailure(f"The value of {name} in the Environment has a zero byte, which no variable can have.")
        if _READ_BY_ENGINES.fullmatch(name):
            raise ClientFailure(
                f"The value of {name} in the Environment has several lines or is too long: where a container is made, "
                "that name means something else. Please choose another name for it, or give it as a file in S3."
            )
    return found


def _fits_a_line(value: str) -> bool:
    return not any(each in value for each in "\r\n\0") and len(value.encode()) < _LONGEST_LINE


def _arguments(spec: InstanceSpec) -> tuple[str, ...]:
    if spec.purpose == "serving":
        return ("serve",)
    return spec.arguments if spec.entrypoint or spec.arguments else ("train",)


def _identities(instance: str) -> list[str]:
    """One range, whole: engines show an image's files under other ids in one piece, or copy the image."""
    first, count = id_range(instance)
    return ["--uidmap", f"0:{first}:{count}", "--gidmap", f"0:{first}:{count}"]


def _memory(size: int) -> list[str]:
    return ["--memory", str(size)] if size else []


def _volumes(confinement: Confinement, files: Files) -> list[str]:
    base = confinement.base
    modes = dict.fromkeys(_FOLDERS, "") | dict.fromkeys(confinement.readonly, ":ro")
    pairs = [
        *(f"{base}/{each}:{INSIDE_BASE}/{each}{mode}" for each, mode in modes.items()),
        f"{files.hosts}:/etc/hosts:ro",
    ]
    if confinement.authorities:
        pairs.append(f"{files.authorities}:{INSIDE_AUTHORITIES}:ro")
    return [word for each in pairs for word in ("--volume", each)]
