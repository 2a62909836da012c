"""The system calls that Python does not offer, by libc. Standard library only; errors are OSError."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_NOSUID = 0x2
_MOUNT_ATTR_NODEV = 0x4
_MOUNT_SETATTR = 442  # the same number on every architecture
_CLOSE_RANGE = 436
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_IFF_UP = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _syscall(number: int, what: str, *arguments: Any) -> int:
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _check(int(_libc.syscall(ctypes.c_long(number), *wide)), what)


def _number(table: dict[str, int], what: str) -> int:
    try:
        return table[platform.machine()]
    except KeyError:
        raise OSError(errno.ENOSYS, f"{what}: not known on {platform.machine()}") from None


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Joins the namespace behind the descriptor, which has to be of that kind (CLONE_NEW*)."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    text = [None if each is None else os.fsencode(each) for each in (source, target, kind, data)]
    result = _libc.mount(text[0], text[1], text[2], ctypes.c_ulong(flags), text[3])
    _check(result, f"mount {kind or source} on {target}")


def umount(target: str, flags: int) -> None:
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(flags)), f"umount {target}")


def restrict_mount(target: str, readonly: bool, recursive: bool = True) -> None:
    """Adds nosuid, nodev and, if asked, read-only to a mount and to all mounts below it (Linux 5.12)."""
    flags = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | (_MOUNT_ATTR_RDONLY if readonly else 0)
    attributes = ctypes.create_string_buffer(struct.pack("=QQQQ", flags, 0, 0, 0), 32)
    path = ctypes.c_char_p(os.fsencode(target))
    how = _AT_RECURSIVE if recursive else 0
    _syscall(_MOUNT_SETATTR, f"mount_setattr {target}", _AT_FDCWD, path, how, attributes, 32)


def pivot_root(new: str, old: str) -> None:
    number = _number(_PIVOT_ROOT, "pivot_root")
    _syscall(number, "pivot_root", ctypes.c_char_p(os.fsencode(new)), ctypes.c_char_p(os.fsencode(old)))


def prctl(option: int, first: int = 0, second: int = 0) -> None:
    zero = ctypes.c_ulong(0)
    result = _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(first), ctypes.c_ulong(second), zero, zero)
    _check(result, f"prctl {option}")


def name_process(name: str) -> None:
    """What `ps` shows (15 bytes)."""
    _libc.prctl(ctypes.c_int(PR_SET_NAME), ctypes.c_char_p(name.encode()), 0, 0, 0)


def install_filter(program: bytes) -> None:
    """Puts a seccomp filter (struct sock_filter array) on this thread; needs no_new_privs."""
    instructions = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions)))
    pr_set_seccomp, filter_mode = 22, 2
    result = _libc.prctl(ctypes.c_int(pr_set_seccomp), ctypes.c_ulong(filter_mode), header, 0, 0)
    _check(result, "seccomp")


def drop_bounding_set() -> None:
    """No exec can ever raise a capability again. Needs CAP_SETPCAP, so it comes before any change of ids."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:  # the first number the kernel does not know
                return
            raise


def drop_capabilities() -> None:
    """Empties the ambient, inheritable, permitted and effective sets."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)
    _syscall(_number(_CAPSET, "capset"), "capset", header, data)


def close_from(first: int) -> None:
    """Closes every descriptor from `first` on."""
    try:
        _syscall(_CLOSE_RANGE, "close_range", first, 0xFFFFFFFF, 0)
    except OSError:
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def loopback_up() -> None:
    """Sets `lo` of this network namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def add_loopback_address(address: str) -> None:
    """Gives `lo` of this network namespace one more IPv4 address (a host's: no network behind it)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.255")):
            packed = struct.pack("16sHH4s16x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(handle, request, packed)
