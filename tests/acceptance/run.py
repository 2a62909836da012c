"""`make acceptance`: suites that other projects wrote, against a server of their own, held to the lists of this folder.

A test that passed once and does not any more fails the run; one that passes and stands on no list is told. The suites
come from git mirrors under the folder that MIRRORS names (OWNER+NAME/repo, such as getmoto+moto/repo), and run in the
environments .venvs/moto-suite and .venvs/s3-suite. What was lost is run again, each test on a home of its own: it may
want an empty account.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from acceptance.suites import SUITES, Suite
from whole_server import ROOT, whole_server

_SUITE_SECONDS, _TEST_SECONDS, _MOST_AGAIN = 900, 60, 20
_REASON = re.compile(r"# Left out: (.+)")

Results = dict[str, str | None]  # test ids, and why each failed; None for those that passed


def expected(suite: Suite) -> tuple[set[str], dict[str, str]]:
    """The tests that pass, and those that cannot with the reason."""
    passing, reasons, reason = set[str](), dict[str, str](), ""
    for line in suite.expected.read_text().splitlines():
        if found := _REASON.fullmatch(line):
            reason = found[1]
        elif line.startswith("- "):
            reasons[line[2:]] = reason
        elif line and not line.startswith("#"):
            passing.add(line)
    return passing, reasons


def lay_out(suite: Suite, mirrors: Path, folder: Path) -> Path:
    """The suite's files, as they were at its revision."""
    source = next((each for name in ("repo/.git", "repo") if (each := mirrors / suite.mirror / name).is_dir()), None)
    if source is None:
        sys.exit(f"no mirror of {suite.mirror.replace('+', '/')} under MIRRORS={mirrors}")
    tree = folder / suite.name
    tree.mkdir()
    command = ["git", "--git-dir", str(source), "--work-tree", str(tree), "checkout", "-q", suite.revision, "--"]
    subprocess.run([*command, *suite.paths], env={**os.environ, "GIT_INDEX_FILE": str(folder / "index")}, check=True)
    return tree


def run(suite: Suite, tree: Path, tests: Iterable[str]) -> Results:
    """Of these tests, in one process, against one server on a fresh home."""
    with tempfile.TemporaryDirectory(prefix="clary-suite-") as name, whole_server() as server:
        folder = Path(name)
        (folder / "tests").write_text("\n".join(tests))
        variables = {
            **{each: os.environ[each] for each in ("PATH", "HOME") if each in os.environ},
            **suite.point(server, folder),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PYTHONPATH": str(Path(__file__).parent),
            "SUITE_TESTS": str(folder / "tests"),
            "SUITE_RESULTS": str(folder / "results"),
        }
        python = ROOT / ".venvs" / suite.environment / "bin" / "python"
        command = [str(python), "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-p", "plugin"]
        command += ["--timeout", str(_TEST_SECONDS), *suite.tests]
        log = ROOT / ".venvs" / f"acceptance-{suite.name}.log"
        with log.open("w") as out, suppress(subprocess.TimeoutExpired):  # what has not run by then is lost
            subprocess.run(command, cwd=tree, env=variables, stdout=out, stderr=out, timeout=_SUITE_SECONDS)
        lines = (folder / "results").read_text().splitlines() if (folder / "results").exists() else []
    return {each["id"]: None if each["passed"] else each["why"] for each in map(json.loads, lines)}


def hold(suite: Suite, mirrors: Path) -> bool:
    """Runs the suite, prints what it found, and answers whether nothing is lost."""
    passing, reasons = expected(suite)
    with tempfile.TemporaryDirectory(prefix="clary-suite-") as folder:
        tree = lay_out(suite, mirrors, Path(folder))
        results = run(suite, tree, sorted(passing | reasons.keys()))
        again = sorted(each for each in passing if results.get(each, "") is not None)
        for test in again if len(again) <= _MOST_AGAIN else ():
            results |= run(suite, tree, (test,))
    lost = sorted(each for each in passing if results.get(each, "it did not run") is not None)
    new = sorted(each for each in reasons if results.get(each, "") is None)
    print(f"{suite.name}: {len(passing) - len(lost) + len(new)} of {len(passing) + len(reasons)} pass")
    for test in lost:
        print(f"  lost: {test}: {results.get(test, 'it did not run')}")
    for test in new:
        print(f"  new: {test} passes; it was left out: {reasons[test]}")
    return not lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", nargs="*", choices=[*SUITES, []], help="all, unless some are named")
    parser.add_argument("--mirrors", type=Path, default=os.environ.get("MIRRORS") or None)
    given = parser.parse_args()
    if given.mirrors is None:
        sys.exit("MIRRORS names no folder with the suites' sources: make acceptance MIRRORS=folder")
    held = [hold(SUITES[name], given.mirrors) for name in given.suite or SUITES]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
