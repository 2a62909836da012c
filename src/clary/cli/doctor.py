"""`clary doctor`: what this machine can do."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from clary.cli import isolation, printing
from clary.cli.server import find, settings_of
from clary.config import Settings
from clary.objects.damage import DamageList
from clary.sandbox import engine

_LITTLE = 5 * 1024**3  # bytes; an environment takes up to 2 GB, models and data come on top


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is ok, note (works, but less) or missing (something will not work)."""

    name: str
    state: str
    words: str


def command(given: argparse.Namespace) -> int:
    """Exit code 1 when something is missing."""
    settings = settings_of(given)
    if given.deep:
        from clary.cli import deep

        return deep.check(settings, given.json)
    findings = list(_isolation(settings) if given.brief else _findings(settings))
    words = isolation.words(settings) if given.brief else "\n".join(map(_line, findings))
    printing.answer(given.json, {"findings": [asdict(finding) for finding in findings]}, words)
    return int(any(finding.state == "missing" for finding in findings))


def _line(finding: Finding) -> str:
    head = f"{finding.state:>8}  {finding.name:<12} "
    return printing.folded(finding.words, head)


def _findings(settings: Settings) -> Iterator[Finding]:
    yield _python()
    yield _uv()
    yield from _isolation(settings)
    yield from _containers()
    yield _cores()
    yield _disk("home", settings.home)
    yield _disk("images", settings.images_home)
    yield _port(settings)
    if settings.objects_bucket:
        yield _elsewhere(settings)
    yield from _objects(settings)


def _python() -> Finding:
    fits = sys.version_info >= (3, 11)
    words = f"{platform.python_version()} at {sys.executable}"
    return Finding("python", "ok" if fits else "missing", words if fits else f"{words}: 3.11 or newer is needed")


def _uv() -> Finding:
    if found := shutil.which("uv"):
        return Finding("uv", "ok", f"builds environments in seconds: {found}")
    if find_spec("uv") is not None:
        return Finding("uv", "ok", "builds environments in seconds: python -m uv")
    return Finding(
        "uv", "note", "not found: environments are built by pip, in minutes. Install it with: pip install uv"
    )


def _isolation(settings: Settings) -> Iterator[Finding]:
    chosen = isolation.chosen(settings)
    if chosen.refused:
        yield Finding("isolation", "missing", chosen.refused)
    elif chosen.rung != chosen.found.rung:
        yield Finding("isolation", "note", isolation.UNASKED)
    for fact in chosen.found.facts:
        yield Finding(fact.name, "ok" if fact.holds else "note", fact.words)


def _containers() -> Iterator[Finding]:
    fact = engine.look()
    yield Finding(fact.name, "ok" if fact.holds else "note", fact.words)
    if not fact.holds:
        return
    if docker := shutil.which("docker"):
        words = "pushes to this server where its daemon was started in `clary run` too, or is podman's service"
        yield Finding("docker", "ok", f"{docker} {words}: the guide to container images says how.")
    else:
        words = "not found, and scripts that build images call it: podman answers to the name by apt-get install"
        yield Finding("docker", "note", f"{words} podman-docker.")


def _cores() -> Finding:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return Finding("machine", "ok", f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB of memory")


def _disk(name: str, folder: Path) -> Finding:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    words = f"{free / 1024**3:.1f} GiB free for {folder}"
    if not os.access(there, os.W_OK):
        return Finding(name, "missing", f"{there} cannot be written. Give another place with --home.")
    return Finding(name, "ok" if free >= _LITTLE else "note", words if free >= _LITTLE else f"{words}: little")


def _objects(settings: Settings) -> Iterator[Finding]:
    damages = DamageList(settings.damages).every()
    if damages:
        last = damages[-1]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(last.found))
        yield Finding(
            "objects",
            "missing",
            f"{len(damages)} found damaged when they were read, and not given out; the last one {last.what} at {when}: "
            f"{last.words}. `clary doctor --deep` reads all of them, and says so when they are whole again.",
        )


def _port(settings: Settings) -> Finding:
    from clary.server.listening import PortTaken, listening

    if server := find(settings):
        return Finding("port", "ok", f"Clary runs at {server.url}")
    try:
        with listening(settings.host, settings.port, 1):
            return Finding("port", "ok", f"{settings.port} is free")
    except PortTaken as error:
        return Finding("port", "missing", str(error))


def _elsewhere(settings: Settings) -> Finding:
    from clary.objects.remote import claim
    from clary.objects.remote.place import PlaceError

    try:
        return Finding("objects", "ok", claim.look(settings))
    except PlaceError as error:
        return Finding("objects", "missing", str(error))
