"""Outputs: what goes to S3 when a training job has ended."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from clary.agent import failures
from clary.agent.failures import ClientFailure
from clary.agent.refusals import S3Error
from clary.agent.s3 import S3, split_uri
from clary.archives import CannotPack, pack, walk
from clary.contract.instance import InstanceSpec
from clary.contract.layout import DEFAULT_BASE, Layout


class Collector:
    """`scratch` is a folder of the agent's own for archives on their way out."""

    def __init__(self, s3: S3, spec: InstanceSpec, layout: Layout, scratch: Path) -> None:
        self._s3 = s3
        self._compressed = spec.output_compression != "NONE"
        self._volume = spec.volume
        self._output = spec.output.rstrip("/")
        self._layout = layout
        self._scratch = scratch

    def model(self) -> str:
        """Uploads /opt/ml/model; returns its S3 URI. Raises ClientFailure, InternalFailure."""
        if not self._is_folder(self._layout.model):
            self._layout.model.mkdir()
        return self._send(self._layout.model, "model", "model.tar.gz")

    def has_model(self) -> bool:
        return self._is_folder(self._layout.model) and any(self._layout.model.iterdir())

    def data(self) -> None:
        """Uploads /opt/ml/output/data, if there is anything in it."""
        folder = self._layout.output_data
        if self._is_folder(folder) and any(folder.iterdir()):
            self._send(self._layout.output_data, "data", "output.tar.gz")

    def _is_folder(self, folder: Path) -> bool:
        """False when the job removed it. Raises ClientFailure for a file and for a link on the way there: the job owns
        the tree, and the agent reads with rights that the job has not."""
        inside = DEFAULT_BASE / folder.relative_to(self._layout.base)
        for part in (folder, *folder.parents):
            if part == self._layout.base:
                break
            if part.is_symlink():
                raise ClientFailure(f"{inside} is a link or lies behind one. Please write into the folder itself.")
        if folder.exists() and not folder.is_dir():
            raise ClientFailure(f"{inside} is no folder any more. Please write into the folder itself.")
        return folder.is_dir()

    def _send(self, folder: Path, plain: str, archive: str) -> str:
        uri = f"{self._output}/{archive}" if self._compressed else f"{self._output}/{plain}/"
        bucket, key = split_uri(uri)
        inside = DEFAULT_BASE / folder.relative_to(self._layout.base)
        try:
            self._check_size(folder, inside)
            if self._compressed:
                self._send_archive(folder, archive, bucket, key)
            else:
                for path in files(folder):
                    self._s3.upload(path, bucket, _key(key + path.relative_to(folder).as_posix()))
        except S3Error as error:
            raise failures.of_upload(error, uri) from error
        except CannotPack as error:
            raise ClientFailure(f"{inside} cannot be uploaded. {error} Please make it flatter.") from error
        return uri

    def _check_size(self, folder: Path, inside: Path) -> None:
        """Sparse files count with their length: that is what reading them, to pack them, takes."""
        size = sum(path.lstat().st_size for path in files(folder))
        if self._volume and size > self._volume:
            raise ClientFailure(
                f"{inside} holds {size} bytes of files, more than VolumeSizeInGB allows "
                f"({self._volume} bytes). Please ask for a larger volume."
            )

    def _send_archive(self, folder: Path, name: str, bucket: str, key: str) -> None:
        self._scratch.mkdir(exist_ok=True)
        packed = self._scratch / name
        with packed.open("wb") as file:
            pack(folder, file)
        self._s3.upload(packed, bucket, key)
        packed.unlink()


def files(folder: Path) -> Iterator[Path]:
    """Every regular file below; links are left out, since the job may have pointed them anywhere."""
    return (path for path in walk(folder) if stat.S_ISREG(path.lstat().st_mode))


def _key(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        shown = ascii(text.rpartition("/")[2])
        raise ClientFailure(f"The file name {shown} is no UTF-8, as the keys of S3 are. Please rename it.") from error
    return text
