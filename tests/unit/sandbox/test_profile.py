"""What is taken out of the system calls that a container engine allows."""

from __future__ import annotations

import errno

from clary.sandbox.profile import without_surface

ENGINES = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [
        {"names": ["clone", "clone3", "mount", "read"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["bpf", "setns"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    ],
}


def test_nothing_is_allowed_that_opens_the_kernel() -> None:
    rules = without_surface(ENGINES)["syscalls"]
    allowed = {name: each.get("args") for each in rules if each["action"] == "SCMP_ACT_ALLOW" for name in each["names"]}
    assert allowed == {
        "read": None,
        "clone": [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
    }
    refused = {name: each["errnoRet"] for each in rules if "errnoRet" in each for name in each["names"]}
    assert refused["clone3"] == errno.ENOSYS
    assert {refused[name] for name in ("bpf", "clone", "mount", "setns", "unshare")} == {errno.EPERM}
    assert without_surface(ENGINES)["defaultAction"] == ENGINES["defaultAction"]
