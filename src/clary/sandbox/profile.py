"""The system calls of a container: what its engine allows, less what opens kernel attack surface and no program of a
job needs. Engines allow a container to make namespaces of its own, for containers in it. Standard library only."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

# Where engines look for theirs, the first before the second. Without either they have one that cannot be read.
_PLACES = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
_DENIED = (
    *("unshare", "setns", "mount", "umount", "umount2", "pivot_root", "mount_setattr", "open_tree", "open_tree_attr"),
    *("move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "quotactl_fd", "bpf", "perf_event_open", "userfaultfd"),
    *("keyctl", "add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register"),
)
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACE_FLAGS = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)


def stricter() -> str:
    """For the engine, as JSON; "" where it has nothing that could be read."""
    for each in _PLACES:
        if each.exists():
            return json.dumps(without_surface(json.loads(each.read_text())))
    return ""


def without_surface(profile: dict[str, Any]) -> dict[str, Any]:
    """A profile in the form of container engines, with less allowed. clone3 answers ENOSYS, so that C libraries fall
    back to clone, whose flags can be seen; what else is denied EPERM."""
    taken = {*_DENIED, "clone", "clone3"}
    rules = [{**each, "names": [name for name in each["names"] if name not in taken]} for each in profile["syscalls"]]
    rules = [each for each in rules if each["names"]]
    rules.append(_refused([*_DENIED], errno.EPERM))
    rules.append(_refused(["clone3"], errno.ENOSYS))
    rules.append({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [_masked(sum(_NAMESPACE_FLAGS), 0)]})
    rules += [_refused(["clone"], errno.EPERM, _masked(each, each)) for each in _NAMESPACE_FLAGS]
    return {**profile, "syscalls": rules}


def _refused(names: list[str], number: int, *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": number, "args": list(arguments)}


def _masked(mask: int, value: int) -> dict[str, Any]:
    """Of the first argument."""
    return {"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
