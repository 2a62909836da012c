"""What a sandbox is to be: one value, JSON both ways, from the agent that asks to the child that shuts itself in."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

Rung = Literal["namespaces", "plain"]

INSIDE_BASE = "/opt/ml"
INSIDE_SOCKETS = "/run/clary"
INSIDE_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
INSIDE_PROGRAMS = "/opt/program"  # where AWS's examples of images have them

# Above the ranges of distributions and containers, below 2**31: one id per instance, taken from its name.
_FIRST_ID = 1_879_048_192
_IDS = 1 << 27
# Below those: what containers have.
_FIRST_OF_RANGES, _RANGES, _RANGE = 1 << 30, 12_000, 1 << 16


def host_id(instance: str) -> int:
    """The unprivileged host id that stands behind an instance when the server runs as root."""
    return _FIRST_ID + _number(instance) % _IDS


def id_range(instance: str) -> tuple[int, int]:
    """(first, count) of the unprivileged host ids that stand behind the ids of a container, 0 and up. Two instances may
    have the same; each sees nothing of the other."""
    return _FIRST_OF_RANGES + _number(instance) % _RANGES * _RANGE, _RANGE


def _number(instance: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(instance.encode()).digest()[:8], "big")


@dataclass(frozen=True)
class Confinement:
    """rung: how. base: the host folder that is `/opt/ml` inside. root: an empty host folder, mount point of the private
    root. readonly: paths relative to `base` that cannot be written inside. shown: host paths that are visible,
    read-only, under the same path. sockets: a host folder that is writable at `/run/clary` ("" for none). identity: the
    host id that uid and gid 0 inside become when the caller is root. cgroups: cgroup folders to join. data_limit: bytes
    of writable memory per process, where no cgroup bounds the whole (0 for none). hostname: the name inside. nice: see
    limits.yield_cores. listening: (IPv4 address, port) of sockets that listen inside, which init hands to the agent, in
    this order; hosts that share a network all listen at the same ones. shares: whether init hands out its network too,
    as descriptors that `enter` takes for a sandbox that joins it. authorities: the certificates by which what runs
    inside trusts whom it reaches, PEM ("" for none). programs: a host folder that is at `/opt/program` inside,
    read-only ("" for none)."""

    rung: Rung
    base: str
    root: str
    hostname: str = "algo-1"
    identity: int = 65534
    readonly: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    sockets: str = ""
    cgroups: tuple[str, ...] = ()
    data_limit: int = 0
    hosts: tuple[str, ...] = field(default=())
    nice: int = 0
    listening: tuple[tuple[str, int], ...] = ()
    shares: bool = False
    authorities: str = ""
    programs: str = ""

    @property
    def inside_base(self) -> str:
        """Where the process finds its tree."""
        return INSIDE_BASE if self.rung == "namespaces" else self.base

    @property
    def inside_sockets(self) -> str:
        """Where the process finds its socket folder."""
        return INSIDE_SOCKETS if self.rung == "namespaces" else self.sockets

    @property
    def inside_programs(self) -> str:
        """Where the process finds its programs."""
        return INSIDE_PROGRAMS if self.programs and self.rung == "namespaces" else self.programs

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Confinement:
        data: dict[str, Any] = json.loads(text)
        for name in ("readonly", "shown", "cgroups", "hosts"):
            data[name] = tuple(data[name])
        data["listening"] = tuple((host, port) for host, port in data["listening"])
        return cls(**data)
