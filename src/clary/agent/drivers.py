"""What the drivers of the SageMaker SDKs will install in a job: they bring themselves and the user's code in channels
and run pip there, where a sandbox has no network. Known beforehand it can be in the environment already, and pip says
"Requirement already satisfied".
"""

from __future__ import annotations

import io
import json
import lzma
import re
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

from clary.agent.failures import ClientFailure
from clary.archives import BadArchive, unpack
from clary.contract.instance import InstanceSpec
from clary.contract.layout import Layout

_TRAINER, _CODE = "sm_drivers", "code"  # channels of SDK v3's ModelTrainer
_WORKSPACE, _INSIDE = "sm_rf_user_ws/workspace.zip", "sagemaker_remote_function_workspace"  # of @remote functions
_SETTINGS, _VERSION = "--dependency_settings", "--client_sagemaker_pysdk_version"
_SDK = "lib/python*/site-packages/sagemaker"
_NAMES_THE_SDK = re.compile(rb"^\s*sagemaker(?:[-_.]core)?(?![\w.-])", re.IGNORECASE | re.MULTILINE)
_LONGEST = 1 << 20  # bytes of a description, or of a file of requirements
_LARGEST_DIRECTORY = 8 << 20  # bytes of an archive's list of its files: some 80,000 of them
# What the library says of what is damaged, encrypted, too deep or packed in a way that it does not know.
_UNREADABLE = (BadArchive, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError)


def requirements(spec: InstanceSpec, layout: Layout, scratch: Path) -> tuple[Path, str] | None:
    """(folder, name) of the file that will be installed from; None for a job of no such driver, or without one. What
    has to be unpacked for that goes to `scratch`. The channels are in place. Raises ClientFailure."""
    try:
        return _of_trainer(layout, scratch) or _of_remote_function(spec, layout, scratch)
    except _UNREADABLE as error:
        raise ClientFailure(f"The code that came in the channels of this job cannot be read: {error}") from error


def _of_trainer(layout: Layout, scratch: Path) -> tuple[Path, str] | None:
    described = layout.channel(_TRAINER) / "sourcecode.json"
    if not described.is_file() or described.stat().st_size > _LONGEST:
        return None
    source = _object(described.read_bytes())
    name = str(source.get("requirements") or "")
    folder = layout.channel(_CODE)
    archive = folder / Path(str(source.get("source_dir") or "")).name
    if name and archive.name.endswith(".tar.gz") and archive.is_file():
        folder = scratch / _CODE
        folder.mkdir(parents=True, exist_ok=True)
        with archive.open("rb") as packed:
            unpack(packed, folder)
    name = "requirements.txt" if name == "auto" else name
    return (folder, name) if name else None


def _of_remote_function(spec: InstanceSpec, layout: Layout, scratch: Path) -> tuple[Path, str] | None:
    """What the function names; and the SDK itself, in the version that the client has, since it is the SDK that calls
    the function, and no image of ours has it."""
    told = dict(pairwise(spec.arguments))  # each option with its value, whatever else
    folder = scratch / _INSIDE
    name = _dependencies(told.get(_SETTINGS, ""), layout.data / _WORKSPACE, folder)
    version = told.get(_VERSION)
    if version is None or next(Path(spec.image.environment).glob(_SDK), None) is not None:
        return (folder, name) if name else None
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (name or "requirements.txt")
    text = file.read_bytes() if name else b""
    if not _NAMES_THE_SDK.search(text):
        file.write_bytes(text + f"\nsagemaker=={version}\n".encode())
    return folder, file.name


def _dependencies(settings: str, workspace: Path, folder: Path) -> str:
    """The name of the function's file of requirements, which is then in the folder; "" where it has none."""
    name = _object(settings).get("dependency_file") if settings and workspace.is_file() else None
    if not isinstance(name, str) or not name.endswith(".txt"):  # what is made by conda is not installed by pip
        return ""
    with _Archived(workspace) as file, zipfile.ZipFile(file) as archive:
        if f"{_INSIDE}/{name}" not in archive.namelist():
            return ""
        folder.mkdir(parents=True, exist_ok=True)
        with archive.open(f"{_INSIDE}/{name}") as packed:
            (folder / Path(name).name).write_bytes(packed.read(_LONGEST))
    return Path(name).name


class _Archived(io.FileIO):
    """An archive whose directory, which the library reads in one piece into memory that no limit of the job's bounds,
    is not too large."""

    def read(self, size: int | None = -1, /) -> bytes:
        whole = size is None or not 0 <= size <= _LARGEST_DIRECTORY
        data = super().read(_LARGEST_DIRECTORY + 1 if whole else size)
        if len(data) > _LARGEST_DIRECTORY:
            raise BadArchive(f"it names more files than fit in {_LARGEST_DIRECTORY >> 20} MiB")
        return data


def _object(text: str | bytes) -> dict[str, Any]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}
