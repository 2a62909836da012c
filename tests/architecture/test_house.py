"""The rules of ARCHITECTURE.md that a machine can check, and the manners of the source."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import clary
from clary import app

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "clary"
MODULES = sorted(SOURCE.rglob("*.py"))

LONGEST_FILE = 300
LONG_FILES = {
    "wire/router.py": "routing is one decision; in two files its order could not be read",
    "testing/sandbox_conformance.py": "one suite, and the probes that it runs inside",
}
LONGEST_FUNCTION = 30
LONG_FUNCTIONS = {
    "app.py:build": "the composition root, in reading order",
    "services/sagemaker/training_job/launch.py:_spec": "one argument a line, from one document to the other",
    "store/logs.py:append": "one transaction's three statements, one column a line",
    "wire/body_xml.py:_structure_reader": "a reader and the tables that it closes over",
}
VAGUE = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
STANDARD_LIBRARY_ONLY = {
    "contract": {"clary.contract"},
    "sandbox": {"clary.sandbox"},
    "agent": {
        *("clary.agent", "clary.sandbox", "clary.contract", "clary.archives", "clary.errors", "clary.clock"),
        "clary.config",  # the launcher's, which starts what the settings say
    },
}
HEAVY = {"botocore", "sqlalchemy", "cryptography", "httptools", "uvloop"}


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (each for each in ast.walk(tree(path)) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


def test_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for path in SOURCE.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert f"`src/clary/{path.name}/`" in text, path.name
        elif path.suffix == ".py" and path.name != "__init__.py":
            assert f"{path.name}`" in text, path.name
    for folder in ROOT.iterdir():
        if folder.is_dir() and folder.name != "src" and tracked(folder):
            assert f"`{folder.name}/`" in text, folder.name


def tracked(path: Path) -> bool:
    found = subprocess.run(["git", "ls-files", "--", str(path)], cwd=ROOT, capture_output=True, text=True)
    return bool(found.stdout.strip())


def test_files_are_small() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path for path, length in lengths.items() if length > LONGEST_FILE} <= LONG_FILES.keys()


def test_functions_are_short() -> None:
    """Counted without signature and docstring: what has to be read to know what a function does."""
    long = {
        f"{name(path)}:{each.name}" for path in MODULES for each in functions(path) if lines(each) > LONGEST_FUNCTION
    }
    assert long <= LONG_FUNCTIONS.keys()


def lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_exceptions_are_still_needed() -> None:
    for path in LONG_FILES:
        assert len((SOURCE / path).read_text(encoding="utf-8").splitlines()) > LONGEST_FILE, path
    for key in LONG_FUNCTIONS:
        path, _, function = key.partition(":")
        assert function in {each.name for each in functions(SOURCE / path)}, key


def test_names_say_something() -> None:
    assert not [name(path) for path in MODULES if {path.stem, path.parent.name} & VAGUE]


def test_modules_and_public_classes_say_what_they_are() -> None:
    assert not [each for path in MODULES if path.read_text(encoding="utf-8").strip() for each in silent(path)]


def silent(path: Path) -> Iterator[str]:
    """Records, whose fields are all there is to say, may do without a docstring."""
    parsed = tree(path)
    if not ast.get_docstring(parsed):
        yield name(path)
    for each in parsed.body:
        if not isinstance(each, ast.ClassDef) or each.name.startswith("_") or ast.get_docstring(each):
            continue
        if not all(isinstance(member, ast.AnnAssign) for member in each.body):
            yield f"{name(path)}:{each.name}"


@pytest.mark.parametrize("room", STANDARD_LIBRARY_ONLY)
def test_lean_rooms_import_the_standard_library_and_named_rooms(room: str) -> None:
    allowed = STANDARD_LIBRARY_ONLY[room]
    for path in (SOURCE / room).rglob("*.py"):
        for imported in imports(path):
            top = imported.partition(".")[0]
            named = any(imported == each or imported.startswith(f"{each}.") for each in allowed)
            assert named or top in sys.stdlib_module_names or imported == "clary", f"{name(path)} imports {imported}"


def test_of_the_server_an_edge_imports_frames_and_certificates_alone() -> None:
    found = {each for path in (SOURCE / "edge").rglob("*.py") for each in imports(path) if "clary.server" in each}
    assert found <= {"clary.server.frames", "clary.server.certificates"}


def test_of_objects_an_edge_imports_what_verifies_files_alone() -> None:
    found = {each for path in (SOURCE / "edge").rglob("*.py") for each in imports(path) if "clary.objects" in each}
    assert found <= {"clary.objects.blobs", "clary.objects.damage", "clary.objects.seen"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "clary":
                yield from (f"clary.{each.name}" for each in node.names)
            else:
                yield node.module or ""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("clary.cli", HEAVY),
        ("clary.cli.status", {"botocore", "sqlalchemy"}),
        ("clary.cli.doctor", {"botocore", "sqlalchemy"}),
        ("clary.agent.launcher", HEAVY),
        ("clary.agent.supervise", HEAVY),
        ("clary.edge.process", {"sqlalchemy", "cryptography"}),
        ("clary.runner.forkserver", HEAVY - {"httptools", "uvloop"}),
        ("clary.modelserver.server", HEAVY - {"httptools", "uvloop"}),
    ],
)
def test_processes_start_lean(module: str, unwanted: set[str]) -> None:
    assert not {each.partition(".")[0] for each in loaded(module)} & unwanted


def loaded(module: str) -> set[str]:
    """What is loaded when a process has imported the module."""
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_control_plane_at_rest_loads_nothing_that_few_need() -> None:
    """Each is memory for as long as the process runs; whoever needs one imports it there."""
    seldom = {
        *("botocore.session", "configparser", "cryptography.x509", "html", "lxml", "multiprocessing", "signxml"),
        *("smtplib", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm", "xml.dom", "xml.sax"),
    }
    assert not loaded("clary.app") & seldom


def test_an_edge_at_rest_loads_nothing_that_few_need() -> None:
    assert not loaded("clary.edge.process") & {"email", "http.client", "tempfile", "urllib.request", "xml"}


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == clary.__version__
    assert f"## {clary.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_there() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_in_the_pages_exist() -> None:
    known = set(re.findall(r"^## clary (\w+)$", (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8"), re.M))
    targets = set(re.findall(r"^([a-z0-9 -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:^|`|\$\()clary ([a-z]+)", text, re.M)) <= known, page.name
        made = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", text, re.M))
        assert made <= {name for target in targets for name in target.split()}, page.name


def test_no_file_tells_of_one_machine() -> None:
    """Paths of somebody's home, and addresses of package indexes, which lock files would otherwise carry."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    private = re.compile(r"/(?:home|Users)/[a-z][\w.-]*/|/root/(?!\.\.\.)|^\s*--(?:extra-)?index-url", re.M)
    for path in filter(None, found.stdout.split("\0")):
        file = ROOT / path
        if not file.is_file() or file == Path(__file__):
            continue
        match = private.search(file.read_text(encoding="utf-8", errors="replace"))
        assert match is None, f"{path}: {match.group() if match else ''}"


def test_what_goes_on_for_ever_is_started() -> None:
    """The functions of that name are the rounds of a server: the composition root has all of them."""
    written = [path for path in MODULES if any(each.name == "forever" for each in functions(path))]
    modules = [importlib.import_module(f"clary.{name(path).removesuffix('.py').replace('/', '.')}") for path in written]
    assert {each.forever for each in modules} == set(app._ROUNDS.values())
