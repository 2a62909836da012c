"""Inputs: what an S3 source means as files, and bringing them in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from clary.agent import failures
from clary.agent.failures import ClientFailure
from clary.agent.refusals import S3Error
from clary.agent.s3 import S3, split_uri
from clary.archives import BadArchive, unpack
from clary.contract.instance import Channel

_TRANSFERS = 8  # at once
_LARGEST_MANIFEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Item:
    """An object and where it goes below the channel's folder; a folder marker ends in '/'."""

    bucket: str
    key: str
    path: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def is_folder(self) -> bool:
        return self.path.endswith("/")


def stage_channel(s3: S3, channel: Channel, folder: Path, host: int, hosts: int) -> None:
    """Copies host number `host` (from 0) of `hosts` its part of the channel. Raises ClientFailure, InternalFailure."""
    _check(channel)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        items = _manifest(s3, channel) if channel.source_type == "ManifestFile" else _prefix(s3, channel)
        items = share(items, host, hosts) if channel.distribution == "ShardedByS3Key" else items
        _copy(s3, layout(items), folder)
    except S3Error as error:
        raise failures.of_download(error, "Data", channel.source) from error


def stage_model(s3: S3, uri: str, folder: Path) -> None:
    """Unpacks model.tar.gz. Raises ClientFailure, InternalFailure."""
    stage_archive(s3, uri, folder, "Model data")


def stage_archive(s3: S3, uri: str, folder: Path, what: str) -> None:
    """Unpacks a .tar.gz; `what` names it in the client's words. Raises ClientFailure, InternalFailure."""
    try:
        bucket, key = split_uri(uri)
        with s3.read(bucket, key) as stream:
            unpack(stream, folder)
    except ValueError as error:
        raise ClientFailure(f"{what}: {error}. Please give the S3 URI of a .tar.gz file.") from error
    except S3Error as error:
        raise failures.of_download(error, what, uri) from error
    except BadArchive as error:
        raise ClientFailure(f"Failed to extract {what.lower()} archive from {uri}: {error}") from error


def _check(channel: Channel) -> None:
    asked = {
        "InputMode=Pipe": channel.mode == "Pipe",
        f"CompressionType={channel.compression}": channel.compression not in ("", "None"),
        f"RecordWrapperType={channel.record_wrapper}": channel.record_wrapper not in ("", "None"),
        f"S3DataType={channel.source_type}": channel.source_type not in ("S3Prefix", "ManifestFile"),
    }
    for option in (name for name, wanted in asked.items() if wanted):
        raise ClientFailure(f"Channel {channel.name}: {option} is not built in Clary yet. Please use File mode.")


def _prefix(s3: S3, channel: Channel) -> list[Item]:
    bucket, prefix = _split(channel)
    items = [
        Item(bucket, each.key, _below(each.key, prefix))
        for each in s3.list(bucket, prefix)
        if each.key != prefix or not prefix.endswith("/")
    ]
    if not any(not each.is_folder for each in items):
        raise ClientFailure(
            f"Data download failed:No objects found with S3 prefix {channel.source}. "
            "Please ensure that there is at least one object under this prefix."
        )
    return items


def _below(key: str, prefix: str) -> str:
    """What stays of the key as a path: all below a folder; the name itself of an object or of a partial name."""
    if key != prefix and key.startswith(prefix) and (not prefix or prefix.endswith("/") or key[len(prefix)] == "/"):
        return key[len(prefix) :].lstrip("/")
    return key[prefix.rfind("/") + 1 :]


def _manifest(s3: S3, channel: Channel) -> list[Item]:
    bucket, key = _split(channel)
    with s3.read(bucket, key) as stream:
        text = bytearray()
        while (piece := stream.read(1 << 20)) and len(text) <= _LARGEST_MANIFEST:
            text += piece
    try:
        entries = json.loads(bytes(text))
        prefix = entries[0]["prefix"]
        names = [str(each) for each in entries[1:]]
        where, start = split_uri(prefix)
        "".join((prefix, *names)).encode()  # JSON can write halves of a surrogate pair, a key holds none
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ClientFailure(
            f"Data download failed:{channel.source} is not a manifest: it has to be a JSON list of "
            '{"prefix": "s3://bucket/prefix/"} and names relative to it.'
        ) from error
    if not names:
        raise ClientFailure(f"Data download failed:The manifest {channel.source} names no objects.")
    return [Item(where, start + name, name.lstrip("/")) for name in names]


def _split(channel: Channel) -> tuple[str, str]:
    try:
        return split_uri(channel.source)
    except ValueError as error:
        raise ClientFailure(f"Channel {channel.name}: {error}. Please give one like s3://bucket/prefix.") from error


def share(items: Iterable[Item], host: int, hosts: int) -> list[Item]:
    """Every `hosts`-th object, keys sorted bytewise; folder markers are everybody's."""
    ordered = sorted(items, key=lambda each: each.key.encode())
    return [
        *(each for each in ordered if each.is_folder),
        *[each for each in ordered if not each.is_folder][host::hosts],
    ]


def layout(items: Iterable[Item]) -> list[tuple[Item, tuple[str, ...]]]:
    """Each item with the parts of its path. Raises ClientFailure for what cannot be files."""
    files: dict[tuple[str, ...], Item] = {}
    folders: dict[tuple[str, ...], Item] = {}
    placed = []
    for item in items:
        parts = _parts(item)
        placed.append((item, parts))
        for depth in range(1, len(parts) + item.is_folder):
            folders.setdefault(parts[:depth], item)
        if not item.is_folder:
            other = files.setdefault(parts, item)
            if other is not item and other.key != item.key:
                raise _clash(other, item)
    for parts, item in files.items():
        if parts in folders:
            raise _clash(item, folders[parts])
    return placed


def _parts(item: Item) -> tuple[str, ...]:
    parts = tuple(each for each in item.path.split("/") if each)
    if not parts or any(each in (".", "..") or "\0" in each or len(each.encode()) > 255 for each in parts):
        raise ClientFailure(f"Data download failed:The key of {item.uri} cannot be a file's path. Please rename it.")
    return parts


def _clash(first: Item, second: Item) -> ClientFailure:
    return ClientFailure(
        f"Data download failed:{first.uri} and {second.uri} cannot both be files: one's path is the other's or a "
        "folder of it. Please rename one of them."
    )


def _copy(s3: S3, placed: Sequence[tuple[Item, tuple[str, ...]]], folder: Path) -> None:
    work = []
    for item, parts in placed:
        target = folder.joinpath(*parts)
        (target if item.is_folder else target.parent).mkdir(parents=True, exist_ok=True)
        if not item.is_folder:
            work.append((item, target))
    if len(work) == 1:
        _fetch(s3, *work[0])
        return
    with ThreadPoolExecutor(_TRANSFERS, "stage") as pool:
        for done in [pool.submit(_fetch, s3, item, target) for item, target in work]:
            done.result()


def _fetch(s3: S3, item: Item, target: Path) -> None:
    try:
        s3.download(item.bucket, item.key, target)
    except S3Error as error:
        raise failures.of_download(error, "Data", item.uri) from error
