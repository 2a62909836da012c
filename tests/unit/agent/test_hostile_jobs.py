"""What a job may do to its own tree, and what must not come of it outside."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from agent_world import World
from clary.compute.local import remove_tree
from clary.contract.instance import ExitRecord


def _exit(here: World, program: str, **given: object) -> ExitRecord:
    record = here.run(here.spec(program, **given)).exit
    assert record is not None
    return record


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder of the host's that no job may see."""
    (tmp_path / "data").mkdir()
    for path in (tmp_path / "key", tmp_path / "failure", tmp_path / "data" / "key"):
        path.write_text("the host's own")
    return tmp_path


def _uploaded(here: World, place: str) -> list[str]:
    return [key for key in here.s3.buckets["out"] if key.startswith(f"{place}/")]


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_a_model_folder_that_became_a_link_is_not_followed(here: World, secret: Path, compression: str) -> None:
    program = f"os.rename(layout.model, layout.base / 'm'); os.symlink({str(secret)!r}, layout.model)"
    place = f"hostile-{compression.lower()}"
    record = _exit(here, program, output=f"s3://out/{place}/output", output_compression=compression)
    assert record.cause == "failed"
    assert record.failure.startswith("ClientError: /opt/ml/model is a link")
    assert not _uploaded(here, place)


def test_an_output_folder_that_became_a_link_is_not_followed(here: World, secret: Path) -> None:
    program = f"os.rename(layout.output, layout.base / 'o'); os.symlink({str(secret)!r}, layout.output)"
    record = _exit(here, program, output="s3://out/hostile-a/output")
    assert record.failure.startswith("ClientError: /opt/ml/output/data is a link or lies behind one")
    assert _uploaded(here, "hostile-a") == ["hostile-a/output/model.tar.gz"]
    record = _exit(here, f"{program}; sys.exit(1)", output="s3://out/hostile-b/output")
    assert record.failure == "AlgorithmError: , exit code: 1"
    assert not _uploaded(here, "hostile-b")


def test_folders_that_the_job_removed_count_as_empty(here: World) -> None:
    program = "import shutil; shutil.rmtree(layout.output); shutil.rmtree(layout.model)"
    record = _exit(here, program, output="s3://out/hostile-gone/output")
    assert (record.cause, record.failure) == ("completed", "")
    with tarfile.open(fileobj=io.BytesIO(here.s3.buckets["out"]["hostile-gone/output/model.tar.gz"])) as archive:
        assert archive.getnames() == []


def test_a_tree_deeper_than_any_path_is_removed(here: World) -> None:
    program = "os.chdir(layout.checkpoints)\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"
    spec = here.spec(program)
    assert here.run(spec).exit is not None
    here.compute.discard(spec.id)
    assert here.compute.observe(spec.id).state == "lost"


def test_removing_changes_nothing_behind_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"  # (an ordinary user's server meets folders that it may not write)
    target.write_text("mine")
    target.chmod(0o640)
    inner = tmp_path / "tree" / "inner"
    inner.mkdir(parents=True)
    (inner / "link").symlink_to(target)
    (tmp_path / "tree" / "folder").symlink_to(tmp_path)
    inner.chmod(0o500)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert target.read_text() == "mine"
    assert target.stat().st_mode & 0o777 == 0o640


def test_an_environment_that_cannot_be_handed_over_is_said_to_be_too_large(here: World) -> None:
    record = _exit(here, "print('never')", environment={f"NAME{at}": "\U0001f600" * 512 for at in range(48)})
    assert (record.cause, record.exit_code) == ("failed", None)
    assert record.failure.startswith("ClientError: The Environment takes ")


_DEEP = """
for _ in range(3000):
    os.mkdir("d"); os.chdir("d")
"""


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_a_model_deeper_than_any_path_is_the_jobs_error(here: World, compression: str) -> None:
    spec = here.spec("os.chdir(layout.model)" + _DEEP, output_compression=compression)
    record = here.run(spec).exit
    here.compute.discard(spec.id)
    assert record is not None
    assert record.failure.startswith("ClientError: /opt/ml/model cannot be uploaded. It has folders within folders")


def test_a_model_larger_than_its_volume_is_refused_before_it_is_read(here: World) -> None:
    sparse = "os.truncate(os.open(layout.model / 'm', os.O_CREAT | os.O_RDWR), 1 << 40)"
    record = _exit(here, sparse, volume=1 << 30)
    assert record.failure.startswith("ClientError: /opt/ml/model holds 1099511627776 bytes of files, more than Volume")


def test_a_file_name_that_is_no_text_can_be_packed_but_is_no_key(here: World) -> None:
    program = r"open(os.fsencode(layout.model) + b'/\xff', 'w')"
    assert _exit(here, program).cause == "completed"
    record = _exit(here, program, output_compression="NONE")
    assert record.failure.startswith("ClientError: The file name '\\udcff' is no UTF-8")


@pytest.mark.parametrize("text", [b'[{"prefix": "s3://odd/"}, "\\ud800"]', b"[" * 100_000])
def test_a_manifest_that_no_honest_program_writes(here: World, text: bytes) -> None:
    here.s3.buckets["odd"] = {"m": text}
    record = _exit(here, "", channels=(here.channel("c", "s3://odd/m", source_type="ManifestFile"),))
    assert record.failure.startswith("ClientError: Data download failed:s3://odd/m is not a manifest")
