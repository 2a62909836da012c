"""What a requirements.txt may name, and the environment that comes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from clary.images import environments, installer, pythons, requirements
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


@pytest.mark.parametrize(
    "line",
    [
        *("a==1" + "!=1" * 5_000 + "$", "a==1" + ",!=1" * 5_000 + "$", "a" * 20_000 + "$", "a[" + "b," * 10_000),
        *(
            "a;" + " " * 20_000 + "@",
            "-r" + "=" * 20_000 + " b c",
            "a" + " " * 20_000 + "b",
            "a==1" + " --hash=" * 3_000,
        ),
        *("a==1!=1", "a==1" + " " * 40_000, "a; os_name == 'x' --config-settings=x=y", "-r \0", f"-r {'x' * 9_000}"),
    ],
    ids=str.__len__,
)
def test_no_line_takes_long_and_these_are_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}.\n" if line.endswith(" ") else f"{line}\n")
    begin = time.process_time()
    with pytest.raises(BadRequirements):
        requirements.read(tmp_path)
    assert time.process_time() - begin < 1


def test_what_may_be_written_of_versions(tmp_path: Path) -> None:
    given = [
        "a==1!2.0",
        "a (>=1, <2)",
        "a[x, y]>=1,!=1.5.*,",
        "a===weird_one",
        "a~=1.0;python_version<'4' and os_name!='x'",
    ]
    (tmp_path / "requirements.txt").write_bytes(
        "\r\n".join([*given, "b==1 \\", "  --hash=sha256:" + "0" * 64]).encode()
    )
    assert requirements.read(tmp_path)[:-1] == given
    assert requirements.read(tmp_path)[-1].split() == ["b==1", "--hash=sha256:" + "0" * 64]


def test_a_file_is_read_once_and_all_share_one_budget(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"r{number}.txt").write_text(f"-r r{number + 1}.txt\n" * 2 + f"a{number}\n")
    (tmp_path / "r60.txt").write_text("a60\n")
    assert requirements.read(tmp_path, "r0.txt") == [f"a{number}" for number in reversed(range(61))]
    (tmp_path / "many.txt").write_text("".join(f"-r m{number}.txt\n" for number in range(200)))
    (tmp_path / "much.txt").write_text("".join(f"-r m{number}.txt\n" for number in range(6)))
    for number in range(200):
        (tmp_path / f"m{number}.txt").write_text("# words\n" * (25_000 if number < 6 else 1))
    for name in ("many.txt", "much.txt"):
        with pytest.raises(BadRequirements, match="more than"):
            requirements.read(tmp_path, name)


def wheel_that_runs_at_every_start(folder: Path, trace: Path) -> None:
    """Of its own `.pth`, and of a part of pip in pip's place: both say so in `trace`."""
    code = f"import sys; open({str(trace)!r}, 'a').write(sys.executable)\n"
    info = "eager-1.0.dist-info"
    files = {
        "eager.pth": code,
        "sitecustomize.py": code,
        "pip/_internal/self_outdated_check.py": code,
        "eager_of_another_python.py": "no program of this one\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: eager\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(folder / "eager-1.0-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("tool", ["uv", pytest.param("pip", marks=pytest.mark.slow)])
def test_nothing_of_an_installed_wheel_runs_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    if tool == "uv" and not installer.find("base", 0, print, "").uv:
        pytest.skip("there is no uv here")
    wheel_that_runs_at_every_start(tmp_path, tmp_path / "trace")
    for name in ("UV", "PIP"):
        monkeypatch.setenv(f"{name}_FIND_LINKS", str(tmp_path))
        monkeypatch.setenv(f"{name}_NO_INDEX", "1")
    monkeypatch.setenv("UV_COMPILE_BYTECODE", "1")
    if tool == "pip":
        monkeypatch.setattr(installer, "_uv", tuple)
    base = tmp_path / "environments" / "base"
    without = ["--without-pip"] if tool == "uv" else []
    subprocess.run([pythons.base_python(), "-m", "venv", *without, str(base)], check=True)
    for own in base.glob("lib/python*/site-packages/pip/__init__.py"):
        own.write_text(f"{own.read_text()}# the image's own\n")
    place = requirements.build(base, ["eager"], print)
    again = requirements.build(place, ["eager>=1"], print)  # more on top of what has such a wheel already
    assert again == requirements.place_of(base, ["eager", "eager>=1"])
    assert list(place.glob("lib/python*/site-packages/eager.pth"))
    assert list(place.glob("lib/python*/site-packages/__pycache__/sitecustomize.*.pyc"))
    assert not (tmp_path / "trace").exists()
    for own in place.glob("lib/python*/site-packages/pip/__init__.py"):
        assert own.read_text().endswith("# the image's own\n"), "two versions of pip are mixed"
    subprocess.run([place / "bin" / "python", "-c", ""], check=True)
    assert (tmp_path / "trace").exists(), "the wheel does not do what the test is about"


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
    assert "cannot be installed" in done.stderr
    assert done.stderr.count("no index can be reached") == 1
    assert [each.name for each in base.parent.iterdir() if each.is_dir()] == ["base"]
