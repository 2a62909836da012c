"""What a requirements.txt may name, and the environment that comes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clary.images import environments, requirements
from clary.images.requirements import BadRequirements


def test_names_versions_markers_and_included_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "more.txt").write_text("six\n")
    (tmp_path / "requirements.txt").write_text(
        "# what it needs\nhumanize==4.9.0  # small\nrich[jupyter] >=13,<14\n\n"
        f'attrs; python_version >= "3.8"\nidna==3.7 \\\n  --hash=sha256:{"0" * 64}\n-r below/more.txt\nnumpy ~= 2.0\n'
    )
    assert [each.split()[0] for each in requirements.read(tmp_path)] == [
        *("humanize==4.9.0", "rich[jupyter]", "attrs;", "idna==3.7", "six", "numpy")
    ]


@pytest.mark.parametrize(
    "line",
    [
        *("-e .", ".", "./package", "/etc/passwd", "-r ../outside.txt", "-r /etc/passwd", "-r link.txt"),
        *("git+https://example.com/it.git", "it @ https://example.com/it.whl", "it @ file:///tmp/it.whl"),
        *("--index-url https://example.com/simple", "--find-links /root", "humanize --global-option=x", "-r self.txt"),
        *("it; os_name == '${HOME}'", "it==1.0.tar.gz/../x", "it\0"),
    ],
)
def test_files_addresses_and_options_are_refused(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("six\n")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "self.txt").write_text("-r requirements.txt\n")
    (folder / "requirements.txt").write_text(f"{line}\n")
    with pytest.raises(BadRequirements):
        requirements.read(folder)


def test_the_environment_is_the_image_s_and_more_and_is_made_once(tmp_path: Path, fake_uv: Path) -> None:
    """With an installer of the test's own: what it is asked for, and what is there before it is."""
    base = tmp_path / "environments" / "base-0123"
    packages = base / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "there.py").write_text("value = 1\n")
    (base / "bin").mkdir()
    (base / "bin" / "tool").write_text(f"#!{base}/bin/python\n")
    code = tmp_path / "code"
    code.mkdir()
    (code / "requirements.txt").write_text("humanize==4.9.0\n")
    command = [sys.executable, "-m", "clary.images.requirements", str(base), str(code)]
    made = [subprocess.run(command, capture_output=True, text=True) for _ in range(2)]
    assert made[0].returncode == 0, made[0].stderr
    place = Path(made[0].stdout)
    assert environments.ready(place) and place.parent == base.parent
    assert (place / "lib/python3.11/site-packages/there.py").samefile(packages / "there.py")
    assert (place / "bin" / "tool").read_text() == f"#!{place}/bin/python\n"
    assert (place / "requirements.txt").read_text() == "humanize==4.9.0"
    assert made[1].stdout == made[0].stdout
    calls = fake_uv.read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["venv", "pip"]
    assert "--no-build" in calls[1]
    os.truncate(code / "requirements.txt", 0)
    assert subprocess.run(command, capture_output=True, text=True).stdout == str(base)


def test_requirements_that_cannot_be_installed_leave_nothing(tmp_path: Path, fake_uv: Path) -> None:
    fake_uv.with_name("fail").touch()
    base, code = tmp_path / "environments" / "base", tmp_path / "code"
    (base / "bin").mkdir(parents=True)
    code.mkdir()
    (code / "requirements.txt").write_text("humanize\n")
    command = [sys.executable, "-m", "clary.images.requirements", str(base), str(code)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot be installed" in done.stderr and "no index can be reached" in done.stderr
    assert [each.name for each in base.parent.iterdir() if each.is_dir()] == ["base"]
