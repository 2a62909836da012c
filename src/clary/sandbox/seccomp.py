"""The system calls that nothing inside needs and that open kernel attack surface: denied by a seccomp filter.

EPERM for most; clone3 answers ENOSYS, so that the C library falls back to clone, whose flags a filter can see; clone
with a namespace flag is EPERM. A process of another architecture (or of the x32 ABI) cannot call anything.
"""

from __future__ import annotations

import errno
import platform
import struct

from clary.sandbox.syscalls import install_filter

_ALIKE = {
    "pidfd_getfd": 438,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "open_tree_attr": 467,
}
_DENIED: dict[str, dict[str, int]] = {
    "x86_64": {
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "chroot": 161,
        "setns": 308,
        "unshare": 272,
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "bpf": 321,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "keyctl": 250,
        "add_key": 248,
        "request_key": 249,
        "init_module": 175,
        "delete_module": 176,
        "finit_module": 313,
        "kexec_load": 246,
        "kexec_file_load": 320,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "reboot": 169,
        "swapon": 167,
        "swapoff": 168,
        "acct": 163,
        "quotactl": 179,
        "syslog": 103,
        "settimeofday": 164,
        "clock_settime": 227,
        "adjtimex": 159,
        "clock_adjtime": 305,
        "iopl": 172,
        "ioperm": 173,
        "modify_ldt": 154,
        "uselib": 134,
        "nfsservctl": 180,
        **_ALIKE,
    },
    "aarch64": {
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "chroot": 51,
        "setns": 268,
        "unshare": 97,
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "bpf": 280,
        "perf_event_open": 241,
        "userfaultfd": 282,
        "keyctl": 219,
        "add_key": 217,
        "request_key": 218,
        "init_module": 105,
        "delete_module": 106,
        "finit_module": 273,
        "kexec_load": 104,
        "kexec_file_load": 294,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "reboot": 142,
        "swapon": 224,
        "swapoff": 225,
        "acct": 89,
        "quotactl": 60,
        "syslog": 116,
        "settimeofday": 170,
        "clock_settime": 112,
        "adjtimex": 171,
        "clock_adjtime": 266,
        "nfsservctl": 42,
        **_ALIKE,
    },
}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
# CLONE_NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET | NEWNS (CLONE_NEWTIME needs clone3 or unshare)
_NAMESPACE_FLAGS = 0x7E020000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_AT_NUMBER, _AT_ARCH, _AT_FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data (little endian)


def offered() -> bool:
    """Whether the filter is written for this machine's architecture."""
    return platform.machine() in _DENIED


def program(machine: str) -> bytes:
    """The filter as a struct sock_filter array. Raises KeyError for an architecture it is not written for."""

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    refuse = step(_RETURN, _ERRNO | errno.EPERM)
    steps = [
        step(_LOAD, _AT_ARCH),
        step(_JUMP_EQUAL, _AUDIT_ARCH[machine], 1, 0),
        step(_RETURN, _KILL),
        step(_LOAD, _AT_NUMBER),
        step(_JUMP_AT_LEAST, _X32_BIT, 0, 1),
        refuse,
        step(_JUMP_EQUAL, _CLONE3, 0, 1),
        step(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for number in sorted(_DENIED[machine].values()):
        steps += [step(_JUMP_EQUAL, number, 0, 1), refuse]
    steps += [
        step(_JUMP_EQUAL, _CLONE[machine], 0, 3),
        step(_LOAD, _AT_FIRST_ARGUMENT),
        step(_JUMP_ANY, _NAMESPACE_FLAGS, 0, 1),
        refuse,
        step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def install() -> None:
    """Filters this thread and all it will start; needs no_new_privs. Raises OSError."""
    install_filter(program(platform.machine()))
