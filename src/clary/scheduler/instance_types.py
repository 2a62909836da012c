"""The ml.* instance types as data: vCPU, memory, GPUs.

General families follow from the size (a `4xlarge` has 16 vCPU) and the family's memory per vCPU; where AWS broke its
own rule, and for accelerated families, the type stands in a table. A type of the service's model that no rule covers
is refused by `find`; a test holds that there is none.

A GPU type is accepted on a machine without one: what runs there sees no GPU (`num_gpus` 0), as its log says. Sizes
bound memory and tell jobs what they may use; cores are shared by weight and never reserved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GIB = 1024**3

_TYPE = re.compile(r"ml\.([a-z0-9-]+)\.(medium|large|xlarge|(\d+)xlarge)")

# GiB of memory per vCPU. Digits and letters of generations do not change it within a family.
_MEMORY_PER_VCPU = {
    "c4": 1.875,
    "c5n": 2.625,
    **dict.fromkeys(("c5", "c5d", "c6g", "c6gd", "c6gn", "c6i", "c6in", "c7g", "c7i", "c7i-flex"), 2.0),
    **dict.fromkeys(("c8g", "c8i", "c8i-flex"), 2.0),
    **dict.fromkeys(("m4", "m5", "m5d", "m6g", "m6gd", "m6i", "m7i", "m7i-flex", "m8g", "m8i", "m8i-flex"), 4.0),
    **dict.fromkeys(("r5", "r5d", "r6g", "r6gd", "r6i", "r7gd", "r7i", "r8g", "r8i", "r8i-flex"), 8.0),
}

# vCPU, GiB, GPUs (or AWS's own accelerators: 0 GPUs).
_EXCEPTIONS = {
    "c4.8xlarge": (36, 60, 0),
    "c5n.9xlarge": (36, 96, 0),
    "c5n.18xlarge": (72, 192, 0),
    "t2.medium": (2, 4, 0),
    "t2.large": (2, 8, 0),
    "t2.xlarge": (4, 16, 0),
    "t2.2xlarge": (8, 32, 0),
    "t3.medium": (2, 4, 0),
    "t3.large": (2, 8, 0),
    "t3.xlarge": (4, 16, 0),
    "t3.2xlarge": (8, 32, 0),
    "inf1.xlarge": (4, 8, 0),
    "inf1.2xlarge": (8, 16, 0),
    "inf1.6xlarge": (24, 48, 0),
    "inf1.24xlarge": (96, 192, 0),
    "inf2.xlarge": (4, 16, 0),
    "inf2.8xlarge": (32, 128, 0),
    "inf2.24xlarge": (96, 384, 0),
    "inf2.48xlarge": (192, 768, 0),
    "trn1.2xlarge": (8, 32, 0),
    "trn1.32xlarge": (128, 512, 0),
    "trn1n.32xlarge": (128, 512, 0),
    "trn2.48xlarge": (192, 2048, 0),
    "dl1.24xlarge": (96, 768, 0),
    "g7e.12xlarge": (48, 512, 2),
    "g7e.24xlarge": (96, 1024, 4),
    "g7e.48xlarge": (192, 2048, 8),
    "p2.xlarge": (4, 61, 1),
    "p2.8xlarge": (32, 488, 8),
    "p2.16xlarge": (64, 732, 16),
    "p3.2xlarge": (8, 61, 1),
    "p3.8xlarge": (32, 244, 4),
    "p3.16xlarge": (64, 488, 8),
    "p3dn.24xlarge": (96, 768, 8),
    "p4d.24xlarge": (96, 1152, 8),
    "p4de.24xlarge": (96, 1152, 8),
    "p5.4xlarge": (16, 256, 1),
    "p5.48xlarge": (192, 2048, 8),
    "p5e.48xlarge": (192, 2048, 8),
    "p5en.48xlarge": (192, 2048, 8),
    "p6-b200.48xlarge": (192, 2048, 8),
    "p6-b300.48xlarge": (192, 4096, 8),
    "p6e-gb200.36xlarge": (144, 960, 4),
}

# GiB per vCPU, and how many GPUs the larger sizes have (every other size has one).
_GPU_FAMILIES = {
    "g4dn": (4.0, {"12xlarge": 4}),
    "g5": (4.0, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6": (4.0, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g6e": (8.0, {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}),
    "g7": (4.0, {"12xlarge": 2, "24xlarge": 4, "48xlarge": 8}),
    "g7e": (8.0, {}),
}


@dataclass(frozen=True, slots=True)
class InstanceType:
    """`memory` in bytes."""

    name: str
    vcpus: int
    memory: int
    gpus: int = 0


def find(name: str) -> InstanceType:
    """Raises ValueError for a type nobody has heard of."""
    match = _TYPE.fullmatch(name)
    if match is None:
        raise ValueError(f"not an instance type: {name!r}")
    family, size, multiple = match.groups()
    exact = _EXCEPTIONS.get(f"{family}.{size}")
    if exact is not None:
        vcpus, gib, gpus = exact
        return InstanceType(name, vcpus, gib * GIB, gpus)
    vcpus = {"medium": 1, "large": 2, "xlarge": 4}.get(size) or 4 * int(multiple)
    if family in _GPU_FAMILIES:
        ratio, counts = _GPU_FAMILIES[family]
        return InstanceType(name, vcpus, int(vcpus * ratio * GIB), counts.get(size, 1))
    if family in _MEMORY_PER_VCPU:
        return InstanceType(name, vcpus, int(vcpus * _MEMORY_PER_VCPU[family] * GIB))
    raise ValueError(f"not an instance type: {name!r}")
