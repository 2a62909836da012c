"""Builds the private root from the mount plan and moves into it. Runs in the forked child, in its own mount
namespace."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from clary.sandbox import syscalls
from clary.sandbox.plan import Mount

_QUIET = syscalls.MS_NOSUID | syscalls.MS_NODEV
_RECURSIVE_BIND = syscalls.MS_BIND | syscalls.MS_REC


def enter(root: str, steps: Iterable[Mount]) -> None:
    """Furnishes a tmpfs on `root`, pivots into it, lets go of the host's tree, makes the root itself read-only."""
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", root, "tmpfs", _QUIET, "mode=0755,size=16m")
    for step in steps:
        _take(root, step)
    os.chdir(root)
    syscalls.pivot_root(".", ".")
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    _restrict("/", readonly=True, recursive=False)


def _take(root: str, step: Mount) -> None:
    target = root + step.target
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    match step.kind:
        case "link":
            Path(target).symlink_to(step.source)
        case "file":
            Path(target).write_text(step.source)
        case "tmpfs":
            Path(target).mkdir(exist_ok=True)
            syscalls.mount("tmpfs", target, "tmpfs", _QUIET, step.source)
        case "proc":
            _proc(target)
        case "bind":
            _bind(step.source, target)
            _restrict(target, step.readonly)
        case "device":
            _bind(step.source, target)


def _bind(source: str, target: str) -> None:
    if Path(source).is_dir():
        Path(target).mkdir(exist_ok=True)
    elif not Path(target).exists():
        Path(target).touch()
    syscalls.mount(source, target, None, _RECURSIVE_BIND)


def _proc(target: str) -> None:
    """Where the host's own /proc is partly covered (inside many containers) the kernel refuses a new one; then there is
    none inside, and the probe says so."""
    Path(target).mkdir(exist_ok=True)
    try:
        syscalls.mount("proc", target, "proc", _QUIET | syscalls.MS_NOEXEC)
    except PermissionError:
        return


def _restrict(target: str, readonly: bool, recursive: bool = True) -> None:
    try:
        syscalls.restrict_mount(target, readonly, recursive)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        # before Linux 5.12 only the mount itself can be changed; keep the flags that an outer namespace locked
        kept = os.statvfs(target).f_flag & ~syscalls.MS_RDONLY
        flags = syscalls.MS_BIND | syscalls.MS_REMOUNT | _QUIET | kept | (syscalls.MS_RDONLY if readonly else 0)
        syscalls.mount(None, target, None, flags)
