"""Container images: those of an account's own repositories, and those that the machine's engine has.

An image of a repository is given to the engine under a name of its account's, which holds its digest: what a job runs
is what the tag stood for when it was launched, and no other account's URI means it.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Any, NamedTuple

from clary.config import Settings
from clary.contract.instance import Image
from clary.images import brought
from clary.images.base import Collected, ImageBuildFailed, ImageNotOffered
from clary.images.unpacked import CannotCount, Layer
from clary.objects.damage import Damaged
from clary.registry import manifests, names, repositories
from clary.registry.names import Reference
from clary.registry.pulling import ImageSource, Manifest, NoSuchImage
from clary.sandbox import engine
from clary.sandbox.engine import Engine, EngineError, NoEngine

_STANDS = 30.0  # seconds for which an image that was in the engine counts as there
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# Annotations that tell a container's runtime what to do: let go of its system call filter, or of the machine's limits.
_INSTRUCTIONS = ("run.oci.", "org.criu.", "org.systemd.property.", "io.podman.", "io.katacontainers.", "module.wasm.")
_OF_A_MANIFEST = ("schemaVersion", "mediaType", "config", "layers")
_OF_A_DESCRIPTOR = ("mediaType", "digest", "size")
_GONE = (
    "Image '{uri}' stood for {digest} when this began, and the repository does not have that any more. Push that image "
    "again, or begin anew with what the URI stands for now (an endpoint by UpdateEndpoint)."
)
_TOO_LARGE = (
    "The image of {name} unpacks to more than {most} bytes, which is half of what the disk has free, or "
    "CLARY_IMAGE_LIMIT_BYTES. Make room, or raise that."
)
_FULL = (
    "the disk has less than half of what it had free when podman began to unpack it. A file with holes may be in it, "
    "which is written out; or make room."
)
_DIR_VERSION = "Directory Transport Version: 1.1\n"


class _Room(NamedTuple):
    """Of the engine's folder `place`: how many bytes an image may have unpacked, and how many stay free of the disk,
    whatever engines make of it: of a file with holes a layer has a line, and they write it out."""

    place: str
    most: int
    stays: int

    def obstacle(self) -> str:
        return _FULL if shutil.disk_usage(self.place).free < self.stays else ""


class Containers:
    """`source` reads the repositories' images, where there are any (of a server)."""

    def __init__(self, settings: Settings, source: ImageSource | None = None) -> None:
        self._settings = settings
        self._source = source
        self._mutex = threading.Lock()
        self._named: dict[str, tuple[float, str]] = {}  # URI -> until when (monotonic) it means which name
        self._seen: dict[str, float] = {}  # name in the engine -> until when it counts as there (monotonic)
        self._leaving: frozenset[str] = frozenset()  # names in the engine that `collect` may be removing
        self._settled = threading.Condition(self._mutex)
        self._collecting = threading.Lock()
        self._collections = 0  # how many have begun, or ended

    def of_repository(self, uri: str, account: str, digest: str = "") -> Image | None:
        """None where no repository of the account has such an image. With a `digest` it is that image of the
        repository, whatever the URI says besides. Raises ImageNotOffered without an engine, and for a digest that is
        not there, or is damaged."""
        reference = self._reference(uri, account)
        manifest = self._manifest(uri, reference, digest)
        if reference is None or manifest is None:
            if digest:
                raise ImageNotOffered(_GONE.format(uri=uri, digest=digest))
            return None
        _require_engine(uri)
        place = reference.place
        name = brought.name_of(self._settings, place, manifest.digest)
        return Image("container", uri, "", "", container=name, repository=repositories.arn(place), pin=manifest.digest)

    def of_engine(self, uri: str, account: str) -> Image | None:
        """None where the engine has no image of that name for the account, or there is no engine. Asks the engine,
        which takes a tenth of a second, unless it has just said so. Raises ImageNotOffered for one that would be shut
        in less."""
        if self._is_kept_from(uri, account):
            return None
        with self._mutex:
            until, known = self._named.get(uri, (0.0, ""))
        if until > time.monotonic():
            return Image("container", uri, "", "", container=known)
        try:
            found = json.loads(engine.find().ask("image", "inspect", "--", uri))
        except (NoEngine, EngineError, ValueError):
            return None
        wanted = {uri if _has_tag(uri) else f"{uri}:latest"}
        wanted |= {f"{host}/{each}" for host in ("localhost", "docker.io", "docker.io/library") for each in wanted}
        tags = {tag for each in found for tag in (*(each.get("RepoTags") or ()), *(each.get("RepoDigests") or ()))}
        named = sorted(tag for tag in wanted & tags if not tag.startswith(brought.OURS))
        if not named:
            return None
        for each in found:
            _refuse_instructions(uri, each.get("Annotations") or {})
        with self._mutex:
            until = time.monotonic() + _STANDS
            self._named[uri], self._seen[named[0]] = (until, named[0]), until
        return Image("container", uri, "", "", container=named[0])

    def ready(self, image: Image) -> bool:
        with self._mutex:
            if image.container in self._leaving:
                return False
            if self._seen.get(image.container, 0.0) > time.monotonic():
                return True
            before = self._collections
        try:
            engine.find().ask("image", "exists", image.container)
        except (NoEngine, EngineError):
            return False
        with self._mutex:
            if self._collections != before:  # it may have gone meanwhile
                return False
            self._seen[image.container] = time.monotonic() + _STANDS
        return True

    def bring(self, image: Image, report: Callable[[str], None]) -> None:
        """Gives the image to the engine, if it is one of a repository. Raises ImageBuildFailed."""
        if self.ready(image):
            return
        account, digest = brought.account_and_digest(self._settings, image.container) or ("", "")
        reference = self._reference(image.uri, account)
        if self._source is None or reference is None or not digest:
            raise ImageBuildFailed(f"The container engine has no image {image.uri} any more.")
        with self._settled:
            self._settled.wait_for(lambda: image.container not in self._leaving)
        report(f"Bringing {image.uri} to the container engine")
        try:
            runs = engine.find()
            self._settings.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="image-", dir=self._settings.scratch) as folder:
                room = self._room(runs)
                self._lay_out(self._source, reference._replace(reference=digest), Path(folder), room.most)
                identity = runs.fetch("pull", "--quiet", f"dir:{folder}", obstacle=room.obstacle).split()[-1]
            runs.ask("tag", identity, image.container)
        except (CannotCount, NoEngine, EngineError, NoSuchImage, Damaged, OSError) as error:
            raise ImageBuildFailed(f"The image {image.uri} could not be given to the engine: {error}") from error

    def collect(self, pins: Callable[[], Set[str]]) -> Collected:
        """As `Images.collect`. Until it has ended none of the images counts as there: who wants one after `pins` was
        asked has it brought anew; who found it there before has said so by then. Raises EngineError."""
        with self._collecting:
            there = brought.listing(self._settings)
            try:
                self._leave(each.name for each in there)
                gone, kept = brought.remove(engine.find(), there, pins()) if there else ([], [])
            finally:
                self._leave(())
        return Collected([each.words for each in gone], sum(each.size for each in gone), kept)

    def _leave(self, names: Iterable[str]) -> None:
        with self._settled:
            self._collections += 1
            self._leaving = frozenset(names)
            for each in self._leaving:
                self._seen.pop(each, None)
            self._settled.notify_all()

    def _lay_out(self, source: ImageSource, reference: Reference, folder: Path, most: int) -> None:
        """Into the plainest form that the engine reads: files in a folder, by their digests. Raises ImageBuildFailed
        for layers that unpack to more than `most` bytes, be it that one is named again and again."""
        manifest = _of_this_machine(source, reference)
        (folder / "version").write_text(_DIR_VERSION)
        (folder / "manifest.json").write_bytes(_for_the_engine(manifest.data))
        named = Counter(each["digest"] for each in json.loads(manifest.data)["layers"])
        left = most
        for digest in sorted(manifests.parse(manifest.data, manifest.media_type).layers):
            layer, times = Layer(), named.get(digest, 1)
            with (folder / digest.partition(":")[2]).open("wb") as file:
                for piece in source.layer(reference, digest)[1]:
                    file.write(piece)
                    layer.feed(piece)
                    if layer.size * times > left:
                        raise ImageBuildFailed(_TOO_LARGE.format(most=most, name=reference.place.repository))
            left -= layer.size * times

    def _room(self, runs: Engine) -> _Room:
        place = runs.ask("info", "--format", "{{.Store.GraphRoot}}").strip()
        free = shutil.disk_usage(place).free
        most = self._settings.image_limit_bytes or free // 2
        return _Room(place, most, free - max(most, free // 2))

    def _manifest(self, uri: str, reference: Reference | None, digest: str) -> Manifest | None:
        if reference is None or self._source is None:
            return None
        try:
            return self._source.manifest(reference._replace(reference=digest or reference.reference))
        except NoSuchImage:
            return None
        except Damaged as error:
            raise ImageNotOffered(f"Image '{uri}' is damaged on this machine's disk: {error}. Push it again.") from None

    def _reference(self, uri: str, account: str) -> Reference | None:
        """None for what names no repository of the account."""
        found = self._named_place(uri, account)
        return found if found is not None and found.place.account == account else None

    def _is_kept_from(self, uri: str, account: str) -> bool:
        """Whether it is the name of an image of a repository that the account cannot have it by: the engine may have it
        from whoever built it to push it."""
        found = self._named_place(uri, account)
        if found is None or self._source is None:
            return False
        behind_this_server = names.registry(uri.partition("/")[0]) is None
        return behind_this_server or (found.place.account != account and self._source.has(found.place))

    def _named_place(self, uri: str, account: str) -> Reference | None:
        """None for what names nothing that this server could have."""
        port = self._settings.port
        hosts = frozenset(f"{host}:{port}" for host in ("127.0.0.1", "localhost", self._settings.host))
        return names.read(uri, account, self._settings.region, hosts)


def pull(uri: str) -> str:
    """Has the engine fetch an image from where it is; its name there. Raises NoEngine, EngineError."""
    return engine.find().fetch("pull", "--quiet", "--", uri).strip()


def _refuse_instructions(uri: str, annotations: dict[str, str]) -> None:
    """The engine hands an image's annotations to the runtime whenever a container is made of it."""
    for each in annotations:
        if each.startswith(_INSTRUCTIONS):
            raise ImageNotOffered(
                f"Image '{uri}' has the annotation {each}, which could undo what its container is shut in by. Please "
                "push it to a repository of your account and name it by that: from there it comes without annotations."
            )


def _for_the_engine(data: bytes) -> bytes:
    """The manifest without its annotations, under whatever spelling of the word engines take it: they hand them to the
    container's runtime, and there are some by which it lets go of its system call filter. Nor with another spelling of
    a layer's digest, by which they would take another layer than the one that was counted."""
    document = _chosen(json.loads(data), _OF_A_MANIFEST)
    layers = [_chosen(each, _OF_A_DESCRIPTOR) for each in document["layers"]]
    config = _chosen(document["config"], _OF_A_DESCRIPTOR)
    return json.dumps({**document, "config": config, "layers": layers}).encode()


def _chosen(document: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def _of_this_machine(source: ImageSource, reference: Reference) -> Manifest:
    """The image itself, or of an index the one for this kind of machine. Raises NoSuchImage."""
    manifest = source.manifest(reference)
    if manifest.media_type not in manifests.INDEXES:
        return manifest
    choices: list[dict[str, Any]] = json.loads(manifest.data)["manifests"]
    wanted = _MACHINES.get(platform.machine(), platform.machine())
    for each in choices:
        said = each.get("platform")
        given = said if isinstance(said, dict) else {}
        if given.get("os", "linux") == "linux" and given.get("architecture", wanted) == wanted:
            return source.manifest(reference._replace(reference=each["digest"]))
    raise NoSuchImage(f"{reference.place.repository} has no image for linux on {wanted}")


def _require_engine(uri: str) -> None:
    try:
        engine.find()
    except NoEngine as error:
        raise ImageNotOffered(
            f"Image '{uri}' is a container image. {error} Or let a folder with its programs `train` and `serve` stand "
            "for it: clary images register URI FOLDER."
        ) from error


def _has_tag(uri: str) -> bool:
    return ":" in uri.rpartition("/")[2] or "@" in uri
