"""What is mounted where: a pure function of the confinement and of what the host has.

The private root is a small tmpfs. The system's libraries, the environment, its base Python and the code that runs
inside are there read-only, under the paths they have outside (lazy imports need that); `/opt/ml` is the instance's own
tree. Nothing else of the host is.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from clary.sandbox.confinement import (
    INSIDE_AUTHORITIES,
    INSIDE_BASE,
    INSIDE_PROGRAMS,
    INSIDE_SOCKETS,
    Confinement,
)

Kind = Literal["bind", "device", "tmpfs", "proc", "link", "file"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
_JAVA = "/etc/java-*"  # where Debian keeps what a Java below /usr does not start without
_DEVICES = ("null", "zero", "full", "random", "urandom")
_PASSWD = "root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"
_NAMES = "passwd: files\ngroup: files\nhosts: files dns\n"


@dataclass(frozen=True, slots=True)
class Mount:
    """One step, in order. `target` is a path inside. `source`: the host path of a bind or device, the target of a link,
    the text of a file, the options of a tmpfs."""

    kind: Kind
    target: str
    source: str = ""
    readonly: bool = True


def plan(confinement: Confinement) -> tuple[Mount, ...]:
    """The steps that furnish the private root, parents before children."""
    return (
        *_system(),
        *_etc(confinement),
        *_devices(),
        Mount("proc", "/proc"),
        Mount("tmpfs", "/tmp", "mode=1777", readonly=False),
        *_shown(confinement.shown),
        Mount("bind", INSIDE_BASE, confinement.base, readonly=False),
        *(Mount("bind", f"{INSIDE_BASE}/{each}", f"{confinement.base}/{each}") for each in confinement.readonly),
        *_optional(INSIDE_SOCKETS, confinement.sockets, readonly=False),
        *_optional(INSIDE_PROGRAMS, confinement.programs, readonly=True),
    )


def _system() -> Iterator[Mount]:
    for path in _SYSTEM:
        if os.path.islink(path):  # noqa: PTH114 - strings throughout
            yield Mount("link", path, os.readlink(path))  # noqa: PTH115
        elif os.path.isdir(path):  # noqa: PTH112
            yield Mount("bind", path, path)


def _etc(confinement: Confinement) -> Iterator[Mount]:
    names = dict.fromkeys((*confinement.hosts, confinement.hostname))  # the same addresses for all hosts of a job
    addresses = "".join(f"127.0.0.{index} {name}\n" for index, name in enumerate(names, start=2))
    yield Mount("file", "/etc/passwd", _PASSWD)
    yield Mount("file", "/etc/group", _GROUP)
    yield Mount("file", "/etc/nsswitch.conf", _NAMES)
    yield Mount("file", "/etc/hosts", f"127.0.0.1 localhost\n{addresses}")
    yield Mount("file", "/etc/hostname", f"{confinement.hostname}\n")
    if confinement.authorities:
        yield Mount("file", INSIDE_AUTHORITIES, confinement.authorities)
    for path in (*_SYSTEM_FILES, *sorted(glob.glob(_JAVA))):  # noqa: PTH207 - strings throughout
        if os.path.exists(path):  # noqa: PTH110
            yield Mount("bind", path, os.path.realpath(path))


def _devices() -> Iterator[Mount]:
    for name in _DEVICES:
        yield Mount("device", f"/dev/{name}", f"/dev/{name}", readonly=False)
    yield Mount("tmpfs", "/dev/shm", "mode=1777", readonly=False)
    yield Mount("link", "/dev/fd", "/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        yield Mount("link", f"/dev/{name}", f"/proc/self/fd/{number}")


def _shown(paths: Iterable[str]) -> Iterator[Mount]:
    """Outermost first; what lies below a path that is there already is left out."""
    there = [path for path in _SYSTEM if not os.path.islink(path)]  # noqa: PTH114
    for path in sorted(set(paths)):
        if not any(path == above or path.startswith(above + "/") for above in there):
            there.append(path)
            yield Mount("bind", path, path)


def _optional(target: str, folder: str, readonly: bool) -> Iterator[Mount]:
    if folder:
        yield Mount("bind", target, folder, readonly)
