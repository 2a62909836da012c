"""Outputs: what goes to S3 when a training job has ended."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from clary.agent import failures
from clary.agent.failures import ClientFailure
from clary.agent.refusals import S3Error
from clary.agent.s3 import S3, split_uri
from clary.archives import CannotPack, pack, walk
from clary.contract.instance import InstanceSpec
from clary.contract.layout import Layout

_INSIDE = Layout()


class Collector:
    """Of all hosts whose trees `layouts` are: what they left is merged, and of what has the same name the first is
    taken. `scratch` is a folder of the agent's own for archives on their way out."""

    def __init__(self, s3: S3, spec: InstanceSpec, layouts: Sequence[Layout], scratch: Path) -> None:
        self._s3 = s3
        self._compressed = spec.output_compression != "NONE"
        self._volume = spec.volume
        self._output = spec.output.rstrip("/")
        self._layouts = layouts
        self._scratch = scratch

    def model(self) -> str:
        """Uploads /opt/ml/model; returns its S3 URI. Raises ClientFailure, InternalFailure."""
        return self._send(self._there(_INSIDE.model), _INSIDE.model, "model", "model.tar.gz")

    def has_model(self) -> bool:
        return any(any(each.iterdir()) for each in self._there(_INSIDE.model))

    def data(self) -> None:
        """Uploads /opt/ml/output/data, if there is anything in it."""
        folders = self._there(_INSIDE.output_data)
        if any(any(each.iterdir()) for each in folders):
            self._send(folders, _INSIDE.output_data, "data", "output.tar.gz")

    def _there(self, inside: Path) -> list[Path]:
        """Each host's folder that is this path inside, unless the job removed it. Raises ClientFailure."""
        below = inside.relative_to(_INSIDE.base)
        return [each.base / below for each in self._layouts if self._is_folder(each, inside)]

    def _is_folder(self, layout: Layout, inside: Path) -> bool:
        """False when the job removed it. Raises ClientFailure for a file and for a link on the way there: the job owns
        the tree, and the agent reads with rights that the job has not."""
        folder = layout.base / inside.relative_to(_INSIDE.base)
        for part in (folder, *folder.parents):
            if part == layout.base:
                break
            if part.is_symlink():
                raise ClientFailure(f"{inside} is a link or lies behind one. Please write into the folder itself.")
        if folder.exists() and not folder.is_dir():
            raise ClientFailure(f"{inside} is no folder any more. Please write into the folder itself.")
        return folder.is_dir()

    def _send(self, folders: Sequence[Path], inside: Path, plain: str, archive: str) -> str:
        uri = f"{self._output}/{archive}" if self._compressed else f"{self._output}/{plain}/"
        bucket, key = split_uri(uri)
        try:
            for each in folders:
                self._check_size(each, inside)
            if self._compressed:
                self._send_archive(folders, archive, bucket, key)
            else:
                for path, name in merged(folders):
                    if stat.S_ISREG(path.lstat().st_mode):  # not a link: the job may have pointed it anywhere
                        self._s3.upload(path, bucket, _key(key + name))
        except S3Error as error:
            raise failures.of_upload(error, uri) from error
        except CannotPack as error:
            raise ClientFailure(f"{inside} cannot be uploaded. {error} Please make it flatter.") from error
        return uri

    def _check_size(self, folder: Path, inside: Path) -> None:
        """Sparse files count with their length: that is what reading them, to pack them, takes."""
        size = sum(found.st_size for path in walk(folder) if stat.S_ISREG((found := path.lstat()).st_mode))
        if self._volume and size > self._volume:
            raise ClientFailure(
                f"{inside} holds {size} bytes of files, more than VolumeSizeInGB allows "
                f"({self._volume} bytes). Please ask for a larger volume."
            )

    def _send_archive(self, folders: Sequence[Path], name: str, bucket: str, key: str) -> None:
        self._scratch.mkdir(exist_ok=True)
        packed = self._scratch / name
        with packed.open("wb") as file:
            pack(merged(folders), file)
        self._s3.upload(packed, bucket, key)
        packed.unlink()


def merged(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """All that is in these folders, each with its name there, as if they were one: of what has the same name the first
    is taken, and nothing that would lie below a file. Raises CannotPack as `walk` does."""
    taken: dict[str, bool] = {}  # name -> whether that is a folder
    for folder in folders:
        hidden: set[str] = set()  # what is a folder here and is none there
        for path in walk(folder):
            name = path.relative_to(folder).as_posix()
            is_folder = stat.S_ISDIR(path.lstat().st_mode)
            above = name.rpartition("/")[0]
            if above in hidden or name in taken:
                if is_folder and (above in hidden or not taken[name]):
                    hidden.add(name)
                continue
            if folder != folders[-1]:
                taken[name] = is_folder
            yield path, name


def _key(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        shown = ascii(text.rpartition("/")[2])
        raise ClientFailure(f"The file name {shown} is no UTF-8, as the keys of S3 are. Please rename it.") from error
    return text
