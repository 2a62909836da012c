"""What accounts have registered, as plain files for a backup, and put back from them.

A registration is a file already; a folder's copy becomes an archive of its content's name. All copies go along: an
endpoint may run what its URI does not stand for any more.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from clary import archives
from clary.config import Settings
from clary.images import registered
from clary.images.registered import Registration, Registry

NAMES = r"registered/[0-9]{12}/[0-9a-f]{32}\.json|registered/folders/[0-9a-f]{32}\.tar\.gz"
_END = ".tar.gz"
_CONTENT = re.compile(r"[0-9a-f]{32}|")  # "" for scripts


class BadCopy(Exception):
    """An archive is not of the content that its name says; the message says which."""


def pack(settings: Settings, folder: Path) -> list[tuple[str, Path]]:
    """(name, file) of all that is registered, written to `folder`. Raises OSError."""
    home = settings.registered_images
    if not home.is_dir():
        return []
    found = []
    with Registry(settings).alone():
        for each in sorted(home.glob("[0-9]*/*.json")):
            name = each.relative_to(home)
            (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(each, folder / name)
            found.append((f"registered/{name}", folder / name))
        for each in sorted((home / "folders").glob("[0-9a-f]*")):
            target = folder / "folders" / f"{each.name}{_END}"
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with target.open("wb") as file:
                archives.pack(((path, str(path.relative_to(each))) for path in sorted(each.rglob("*"))), file)
            found.append((f"registered/folders/{target.name}", target))
    return found


def unpack(home: Path) -> None:
    """Makes a folder of each archive in a home's folder for registrations, as they are in a backup. Raises BadCopy,
    OSError."""
    for each in sorted(home.glob("[0-9]*/*.json")):
        if not _is_one(each):
            raise BadCopy(f"the registration {each.name} is none")
    for archive in sorted((home / "folders").glob(f"*{_END}")):
        name = archive.name.removesuffix(_END)
        place = archive.with_name(name)
        place.mkdir(mode=0o700)
        try:
            with tarfile.open(archive) as tar:
                _extract(tar, place)
        except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
            raise BadCopy(f"the folder {name} cannot be read ({error})") from error
        registered.settle(place)
        if registered.content_of(place) != name:
            raise BadCopy(f"the folder {name} is of other content")
        archive.unlink()


def _is_one(path: Path) -> bool:
    """Whether the file is a registration of the account of its folder, which leads to no other folder than a copy."""
    try:
        said = json.loads(path.read_bytes())
        made = Registration(**said)
    except (ValueError, TypeError):
        return False
    texts = all(isinstance(each, str) for each in said.values())
    return texts and made.account == path.parent.name and _CONTENT.fullmatch(made.folder) is not None


def _extract(tar: tarfile.TarFile, place: Path) -> None:
    """Links come last, and none below another, so that nothing is written through one; they may lead anywhere, as in
    the folder that was registered: who follows them is shut in."""
    links: dict[PurePosixPath, str] = {}
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isdir() or member.isreg() or member.issym()):
            raise BadCopy(f"the folder {place.name} has something in it that no registration has: {member.name!r}")
        if member.issym():
            links[path] = member.linkname
        elif member.isdir():
            (place / path).mkdir(mode=0o700)
        else:
            _write(tar, member, place / path)
    for path, leads_to in links.items():
        if not links.keys().isdisjoint(path.parents):
            raise BadCopy(f"the folder {place.name} has something in it below a link: {str(path)!r}")
        (place / path).symlink_to(leads_to)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None  # it is a file
    mode = 0o700 if member.mode & 0o100 else 0o600
    with source, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        shutil.copyfileobj(source, file)
