"""Which tests may be skipped in continuous integration, and why: a skip that is on no line of the list fails the run.

Loaded by pyproject.toml (`-p skips`). Elsewhere a skip prints its reason and nothing more.
"""

from __future__ import annotations

import os
import re

import pytest

# A pattern of the reason, and why that may be.
ALLOWED = {
    r"MIRRORS names no folder with .*": "the published vectors are other projects' and are not kept here",
    r"no mirror of boto/botocore under MIRRORS": "likewise",
    r"no sample data: .*": "the sample data are not ours to keep",
    r"no (postgres|initdb|pg_ctl).* on this machine": "PostgreSQL is not ours to install",
    r"the tests run as an ordinary user already": "the other half of a test that changes its user",
    r".* is not Python 3\.11 or later": "the system's Python is what an ordinary user can reach",
    r"no cgroup can be written here": "a container may not give any",
    r"no (podman|skopeo|docker|dockerd|mmdebstrap) on this machine": "container engines are not ours to install",
    r"AWS's toolkits cannot be built here: .*": "they are published as sources, on an index that may not be reached",
    r"uv was not found: it builds AWS's toolkits": "uv is not ours to install",
    r"no container engine works here: .*": "podman is not ours to install, and runs containers for root alone",
    r"no static busybox on this machine": "what the image of a test is made of",
    r"no Debian can be had here: .*": "what the image of an example is built upon, where no index may be reached",
    r"OCI_CONFORMANCE names no program": "the specification's suite is another project's, and wants Go to be built",
    r"no zstd on this machine": "a program is not ours to install",
    r"no C compiler on this machine": "a compiler is not ours to install",
}
_SKIPPED: dict[str, list[str]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _SKIPPED.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)


def _unlisted() -> dict[str, list[str]]:
    allowed = [re.compile(pattern) for pattern in ALLOWED]
    return {reason: ids for reason, ids in _SKIPPED.items() if not any(each.fullmatch(reason) for each in allowed)}


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") and _unlisted() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("CI"):
        for reason, ids in _unlisted().items():
            terminalreporter.write_line(f"skipped for a reason that tests/skips.py does not list: {reason}", red=True)
            terminalreporter.write_line(f"    {ids[0]}" + (f" and {len(ids) - 1} more" if len(ids) > 1 else ""))
