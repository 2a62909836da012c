"""The SDK v2's ways to bring code: from a git repository with dependencies beside it, as a shell script, as a package.

sdk2_sources.py FOLDER: writes the sources below it. Prints what each job left in its model's file "said".
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import sagemaker
from sagemaker.sklearn import SKLearn

URL = "https://git.example.com/me/code.git"  # git is told where that is

TELLS = """
import argparse, os, words
parser = argparse.ArgumentParser()
parser.add_argument("--name")
with open(os.environ["SM_MODEL_DIR"] + "/said", "w") as file:
    file.write(words.greeting(parser.parse_args().name) + " on " + os.environ["SM_CURRENT_HOST"])
"""
WORDS = "def greeting(name):\n    return 'hello ' + name\n"
SHELL = 'echo "$* of $SM_HP_NAME" > "$SM_MODEL_DIR/said"\n'
SETUP = "from setuptools import setup\nsetup(name='tells', version='1', packages=['tells'])\n"
PACKAGE = (
    "import os, sys\nopen(os.environ['SM_MODEL_DIR'] + '/said', 'w').write(__name__ + ' ' + ' '.join(sys.argv[1:]))\n"
)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def repository(folder: Path) -> str:
    """Its commit; git finds it under URL from here on."""
    write(folder, {"code/train.py": TELLS})
    git = ["git", "-C", str(folder), "-c", "user.name=me", "-c", "user.email=me@example.com"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "code"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run(["git", "config", "--global", f"url.file://{folder}.insteadOf", URL], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def said(session: sagemaker.Session, folder: Path, **options: Any) -> str:
    estimator = SKLearn(
        framework_version="1.2-1",
        instance_type="ml.m5.large",
        role=sagemaker.get_execution_role(session),
        sagemaker_session=session,
        hyperparameters={"name": "you"},
        **options,
    )
    estimator.fit(logs=False)
    sagemaker.s3.S3Downloader.download(estimator.model_data, str(folder), sagemaker_session=session)
    with tarfile.open(folder / "model.tar.gz") as archive:
        return archive.extractfile("said").read().decode().strip()  # type: ignore[union-attr] # it is a file


def main() -> None:
    folder, session = Path(sys.argv[1]), sagemaker.Session()
    git = {"repo": URL, "branch": "main", "commit": repository(folder / "repository")}
    library = write(folder / "library", {"words.py": WORDS})
    beside = str(library / "words.py")
    told = said(session, folder, entry_point="train.py", source_dir="code", git_config=git, dependencies=[beside])
    print("git", told)
    shell = write(folder / "shell", {"run.sh": SHELL})
    print("shell", said(session, folder, entry_point="run.sh", source_dir=str(shell)))
    package = write(folder / "package", {"setup.py": SETUP, "tells/__init__.py": "", "tells/__main__.py": PACKAGE})
    print("package", said(session, folder, entry_point="tells/__main__.py", source_dir=str(package)))


if __name__ == "__main__":
    main()
