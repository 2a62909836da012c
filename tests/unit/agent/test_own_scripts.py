"""Scripts of the user's: their code comes while the sandbox is made, which shows what the code requires."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent_world import World
from clary.contract.instance import Image, InstanceSpec
from clary.images import inside, pythons, requirements
from flows.scripts import archive

PATIENCE = 60.0  # seconds


def environment(place: Path, **modules: str) -> Path:
    subprocess.run([pythons.base_python(), "-m", "venv", "--without-pip", str(place)], check=True)
    site = next(place.glob("lib/python*/site-packages"))
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)
    return place


def script(here: World, place: Path, program: str, required: str = "") -> InstanceSpec:
    """An instance that runs the program, with its code in S3."""
    files = {"run.py": program} | ({"requirements.txt": required} if required else {})
    here.s3.buckets["code"] = {"sourcedir.tar.gz": archive(files)}
    given = {"sagemaker_program": "run.py", "sagemaker_submit_directory": "s3://code/sourcedir.tar.gz"}
    image = Image("framework", "x", "scikit-learn", str(place), beneath=sys.prefix)
    return here.spec(image=image, hyperparameters=given)


@pytest.fixture(scope="module")
def there(here: World) -> World:
    """With the real tree inside, whose entry points run scripts."""
    here.inside = inside.tree(here.settings)
    return here


def completed(there: World, spec: InstanceSpec) -> list[str]:
    """The lines of its script."""
    record = there.wait(spec.id, lambda seen: seen.state == "exited", PATIENCE).exit
    assert record is not None and record.cause == "completed", (record, there.lines(spec.id))
    return [line for line in there.lines(spec.id) if line.startswith("said ")]


def test_the_code_comes_while_the_sandbox_is_made(there: World, tmp_path: Path) -> None:
    spec = script(there, environment(tmp_path / "base"), "print('said it')")
    there.s3.stop()
    there.compute.launch(spec)
    there.wait(spec.id, lambda _: there.sandboxed(spec.id) > 0, PATIENCE)
    assert not (there.settings.instances / spec.id / "started").exists()
    there.s3.start(there.port)
    assert completed(there, spec) == ["said it"]


def test_what_it_requires_is_in_its_sandbox(there: World, tmp_path: Path) -> None:
    """Which is another one than the first, of which nothing is left."""
    base = environment(tmp_path / "base")
    ready = requirements.place_of(base, ["mine==1"])
    environment(ready, mine="said = 'said by a package'")
    (ready / ".complete").touch()
    spec = script(there, base, "import mine; print(mine.said)", "mine==1\n")
    there.compute.launch(spec)
    assert completed(there, spec) == ["said by a package"]
    there.wait(spec.id, lambda _: there.sandboxed(spec.id) == 0, PATIENCE)


def test_what_cannot_be_installed_ends_the_sandbox_that_waits(there: World, tmp_path: Path) -> None:
    spec = script(there, environment(tmp_path / "base"), "print('said it')", "-e .\n")
    there.compute.launch(spec)
    record = there.wait(spec.id, lambda seen: seen.state == "exited" and not there.sandboxed(spec.id), PATIENCE).exit
    assert record is not None and record.failure.startswith("AlgorithmError: InstallRequirementsError:")
    assert not (there.settings.instances / spec.id / "started").exists()
