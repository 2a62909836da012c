"""tar.gz archives that come from and go to strangers: packing is deterministic, unpacking never leaves its folder.

Standard library only.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

_PIECE = 1 << 20
_LONGEST_HEADER = 1 << 20  # extended headers are read into memory; real ones hold a path or two
_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_REMEDY = "It has to be an intact tar.gz file."


class BadArchive(Exception):
    """Not a readable archive; the message says what is wrong and what to do."""


class UnsafeArchive(BadArchive):
    """Unpacking it would write outside of the folder, make something other than files, or exceed the limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one archive may unpack to: `size` bytes of file contents in all, `entries` members."""

    size: int = 512 * 1024**3
    entries: int = 1_000_000


class CannotPack(Exception):
    """The folder cannot become an archive; the message says what is wrong and what to do."""


class Source(Protocol):
    """What can be unpacked: anything with `read`; it need not seek."""

    def read(self, size: int = -1, /) -> bytes: ...


def pack(members: Iterable[tuple[Path, str]], target: BinaryIO, level: int = 6) -> None:
    """Writes what is at these paths, each under its name, to `target` as tar.gz.

    Trees of equal names, contents and executable bits give equal bytes: times are 0, owners are root. Symbolic links
    are stored as links; sockets, pipes and devices are left out. Raises OSError as it comes.
    """
    with (
        gzip.GzipFile(fileobj=target, mode="wb", compresslevel=level, filename="", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT, dereference=False) as archive,
    ):
        for path, name in members:
            _add(archive, path, name)


def unpack(stream: Source, folder: Path, limits: Limits = Limits()) -> None:
    """Unpacks a tar or tar.gz stream into `folder`, which has to exist.

    Raises UnsafeArchive (absolute names, `..`, links that leave the folder, devices, pipes, more than `limits`) and
    BadArchive (no tar, cut off, damaged). What was unpacked before stays: discard the folder then.
    """
    root = Path(os.path.realpath(folder))
    budget = _Budget(limits)
    links: list[Path] = []
    try:
        plain = _plain(stream)
        with tarfile.open(fileobj=cast(BinaryIO, plain), mode="r|", tarinfo=_Header) as archive:
            for member in archive:
                budget.entry(member)
                _extract(archive, member, root)
                if member.issym():
                    links.append(root / member.name)
        _drain(plain, limits)
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise BadArchive(f"The archive cannot be read ({error}). {_REMEDY}") from error
    except RecursionError as error:
        raise _too_deep() from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise _too_deep() from error
    _check_links(links, root)


def _too_deep() -> UnsafeArchive:
    return UnsafeArchive("The archive has names longer than a path can be. Make it flatter and pack it again.")


class _Header(tarfile.TarInfo):
    """A member's header, read with suspicion: tarfile itself would take a damaged one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            header = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise BadArchive(f"The archive cannot be read ({error}). {_REMEDY}") from error
        if header.size < 0 or (header.type in _HEADER_TYPES and header.size > _LONGEST_HEADER):
            raise UnsafeArchive(f"The archive has a header that declares {header.size} bytes. Pack it again.")
        return header


def _drain(plain: Source, limits: Limits) -> None:
    """Reads what follows the archive, because the checksum of a gzip stream stands at its end."""
    seen = 0
    while piece := plain.read(_PIECE):
        seen += len(piece)
        if seen > limits.size:
            raise UnsafeArchive(f"More than {limits.size} bytes follow the archive's end. Pack it again.")


def _check_links(links: list[Path], root: Path) -> None:
    """A link is checked when it is made, but a later one may bend its way (`a -> b/../..`, then `b -> .`)."""
    for link in links:
        if link.is_symlink() and not _within(Path(os.path.realpath(link)), root):
            goal = link.readlink()
            link.unlink()
            raise UnsafeArchive(
                f"The link {link.name!r} leads to {str(goal)!r}, outside of the archive. Pack the file."
            )


def _plain(stream: Source) -> Source:
    """The tar bytes of a stream that is gzip or not, by its first two bytes."""
    head = b""
    while len(head) < 2 and (piece := stream.read(2 - len(head))):
        head += piece
    whole = _Rejoined(head, stream)
    if head == b"\x1f\x8b":
        return cast(Source, gzip.GzipFile(fileobj=io.BufferedReader(whole, _PIECE), mode="rb"))
    if not head:
        raise BadArchive(f"The archive is empty (0 bytes). {_REMEDY}")
    return cast(Source, io.BufferedReader(whole, _PIECE))


class _Rejoined(io.RawIOBase):
    """A stream with the bytes put back that were read off its front."""

    def __init__(self, head: bytes, rest: Source) -> None:
        super().__init__()
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        piece, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        piece = piece or self._rest.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class _Budget:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._size = 0
        self._entries = 0

    def entry(self, member: tarfile.TarInfo) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise UnsafeArchive(f"The archive has more than {self._limits.entries} members. Pack fewer files.")
        self._size += member.size if member.isreg() else 0
        if self._size > self._limits.size:
            raise UnsafeArchive(f"The archive unpacks to more than {self._limits.size} bytes. Make it smaller.")


def walk(folder: Path) -> Iterator[Path]:
    """All that lies below `folder`, each folder before its contents, bytewise by name; links are not followed. Raises
    CannotPack, OSError."""
    pending = [folder]
    while pending:
        path = pending.pop()
        try:
            is_folder = stat.S_ISDIR(path.lstat().st_mode)
            contents = sorted(path.iterdir(), key=os.fsencode, reverse=True) if is_folder else []
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise CannotPack("It has folders within folders, deeper than a path can reach.") from error
        if path != folder:
            yield path
        pending += contents


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        return
    member = tarfile.TarInfo(name)
    member.mode = 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644
    if stat.S_ISREG(mode):
        with path.open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            archive.addfile(member, file)
        return
    if stat.S_ISDIR(mode):
        member.type = tarfile.DIRTYPE
    else:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
    archive.addfile(member)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    target = _inside(member, root)
    if target == root:
        return
    if member.isdir():
        _make_folder(target)
        return
    _make_folder(target.parent)
    if target.is_dir() and not target.is_symlink():
        raise UnsafeArchive(f"{_shown(member)} is a folder and a file in the same archive. Pack it again.")
    target.unlink(missing_ok=True)  # a later member of the same name wins, and nothing is written through a link
    if member.isreg():
        _write(archive, member, target)
    elif member.issym():
        _link(member, target, root)
    elif member.islnk():
        _hard_link(member, target, root)
    else:
        raise UnsafeArchive(f"{_shown(member)} is a device or a pipe. Only files, folders and links can be unpacked.")


def _inside(member: tarfile.TarInfo, root: Path) -> Path:
    """Where the member goes. Its parents as they are on disk now, links followed, have to be within `root`."""
    target = _below(member.name, member, root)
    if target != root and not _within(Path(os.path.realpath(target.parent)), root):
        raise UnsafeArchive(f"{_shown(member)} lies behind a link that leaves the archive. Remove the link.")
    return target


def _below(name: str, member: tarfile.TarInfo, root: Path) -> Path:
    pure = PurePosixPath(name)
    if pure.is_absolute():
        raise UnsafeArchive(f"{_shown(member)} names an absolute path. Pack with names relative to the top folder.")
    if ".." in pure.parts:
        raise UnsafeArchive(f"{_shown(member)} has '..' in its path. Pack with names relative to the top folder.")
    if "\0" in name:
        raise UnsafeArchive(f"{_shown(member)} has a NUL in its path. Rename the file.")
    return root.joinpath(*pure.parts)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UnsafeArchive(f"{folder.name!r} is a file and a folder in the same archive. Pack it again.") from error


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = archive.extractfile(member)
    assert source is not None  # it is a regular file
    mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        while piece := source.read(_PIECE):
            file.write(piece)


def _link(member: tarfile.TarInfo, target: Path, root: Path) -> None:
    goal = Path(os.path.realpath(target.parent / member.linkname))
    if PurePosixPath(member.linkname).is_absolute() or not _within(goal, root):
        raise UnsafeArchive(f"{_shown(member)} links to {member.linkname!r}, outside of the archive. Pack the file.")
    target.symlink_to(member.linkname)


def _hard_link(member: tarfile.TarInfo, target: Path, root: Path) -> None:
    source = _below(member.linkname, member, root)
    if not _within(Path(os.path.realpath(source)), root):
        raise UnsafeArchive(f"{_shown(member)} links to {member.linkname!r}, outside of the archive. Pack the file.")
    if not source.is_file():
        raise BadArchive(f"{_shown(member)} links to {member.linkname!r}, which is not in the archive. Pack it again.")
    os.link(source, target, follow_symlinks=False)


def _within(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


def _shown(member: tarfile.TarInfo) -> str:
    return f"The archive's member {member.name!r}"
