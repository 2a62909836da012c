"""`clary images`: the environments that images stand for, while a server runs and while none does."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from clary.cli import collecting, layers, printing
from clary.cli.failure import Failure
from clary.cli.server import settings_of
from clary.config import Settings
from clary.images import brought, catalogue, containers, disk, environments, pythons, registered, shelf
from clary.images.base import ImageBuildFailed, ImageNotOffered, ImageUnknown
from clary.images.installer import Report
from clary.images.registered import CannotRegister, Registration, Registry
from clary.sandbox.engine import EngineError, NoEngine
from clary.server.home import HomeError

_MIB = 1024**2
_INTERRUPTED = 130  # as shells say it
_USUAL = "scikit-learn"  # the environment of a folder that names no other
_ACCOUNT = re.compile(r"[0-9]{12}")


def command(given: argparse.Namespace) -> int:
    try:
        return _ACTIONS[given.action](given, settings_of(given))
    except (ImageBuildFailed, ImageNotOffered, CannotRegister, shelf.InUse, NoEngine, EngineError, HomeError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{error.filename or 'The images'}: {error.strerror or error}.") from error


def _ls(given: argparse.Namespace, settings: Settings) -> int:
    kept = shelf.listing(settings)
    facts = [
        {"name": each.name, "purpose": each.purpose, "ready": each.ready, "bytes": each.size, "path": str(each.place)}
        for each in kept
    ]
    lines = [f"{each.name:16} {_state(each):>12}  {each.purpose}" for each in kept]
    registrations = Registry(settings).every()
    lines += [f"{each.account}  {each.uri}  {_meaning(each)}" for each in registrations]
    there = _brought(settings, lines)
    left = shelf.leftovers(settings)
    if left:
        lines.append(f"{len(left)} environment(s) that nothing needs: `clary images gc` removes them.")
    told = {
        "environments": facts,
        "registered": [asdict(each) for each in registrations],
        "containers": [{**each._asdict(), "uri": each.words} for each in there],
        "leftovers": [str(each) for each in left],
    }
    printing.answer(given.json, told, "\n".join(lines))
    return 0


def _brought(settings: Settings, lines: list[str]) -> list[brought.Brought]:
    """Container images of repositories that the engine has; an engine that does not work keeps nobody from the rest."""
    try:
        found = brought.listing(settings)
    except EngineError as error:
        lines.append(f"What podman has is not known: {error}")
        return []
    lines += [f"{each.words}  {each.size / _MIB:,.0f} MiB in podman" for each in found]
    return found


def _meaning(made: Registration) -> str:
    return f"programs in {made.environment}" if made.folder else f"scripts in {made.environment}"


def _register(given: argparse.Namespace, settings: Settings) -> int:
    """What the URI stands for is copied, and its environment built: jobs need neither the folder nor a network."""
    folder = given.target if given.target.is_dir() else None
    if folder is None and given.environment:
        raise Failure(f"{given.target} is no folder.")
    environment = given.environment or (_USUAL if folder else str(given.target))
    made = Registry(settings).add(_account(given, settings), given.uri, folder, environment)
    image = made.image(settings)
    report = _reporting(given)
    with _interruptible():
        if folder:
            place = registered.build(settings, environment, Path(image.programs), report)
        else:
            place = environments.build(settings, environment, report)
    words = f"{made.uri} stands for {_meaning(made)} ({place}), in account {made.account}."
    printing.answer(given.json, {**asdict(made), "path": image.programs or str(place)}, words)
    return 0


def _account(given: argparse.Namespace, settings: Settings) -> str:
    account: str = given.account or settings.account
    if not _ACCOUNT.fullmatch(account):
        raise Failure(f"An account is twelve digits, which {account} is not.")
    return account


def _state(kept: shelf.Kept) -> str:
    return f"{kept.size / _MIB:,.0f} MiB" if kept.ready else "not built"


def _pull(given: argparse.Namespace, settings: Settings) -> int:
    """What each URI means to a job without a script; a framework's image means its framework either way. What no image
    of AWS's has is the container engine's to fetch."""
    meanings, others = {}, []
    for uri in given.names:
        try:
            meanings[uri] = catalogue.find(uri)
        except ImageUnknown:
            others.append(uri)
    built = _made(given, settings, list(dict.fromkeys(each.lock for each in meanings.values())))
    fetched = {uri: containers.pull(uri) for uri in others}
    facts = [{"uri": uri, "name": each.lock, "note": each.note} for uri, each in meanings.items()]
    notes = [each.note for each in meanings.values() if each.note]
    notes += [f"{uri} is in the container engine" for uri in fetched]
    told = {"images": facts, "environments": built, "containers": fetched}
    printing.answer(given.json, told, "\n".join(filter(None, [_told(built), *notes])))
    return 0


def _build(given: argparse.Namespace, settings: Settings) -> int:
    built = _made(given, settings, _known(given.names) or sorted(shelf.purposes()))
    printing.answer(given.json, {"environments": built}, _told(built))
    return 0


def _made(given: argparse.Namespace, settings: Settings, names: list[str]) -> dict[str, str]:
    """Builds what is not there."""
    report = _reporting(given)
    with _interruptible():
        return {name: str(environments.build(settings, name, report)) for name in names}


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Around builds, which a Ctrl-C ends."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Failure("Interrupted. Nothing is left half built.", _INTERRUPTED) from error


def _reporting(given: argparse.Namespace) -> Report:
    """The installer's lines are the progress, on stderr."""

    def report(line: str) -> None:
        if not given.json:
            print(line, file=sys.stderr, flush=True)

    return report


def _told(built: dict[str, str]) -> str:
    return "\n".join(f"{name} is ready in {place}" for name, place in built.items())


def _rm(given: argparse.Namespace, settings: Settings) -> int:
    registry, account = Registry(settings), _account(given, settings)
    uris = [each for each in given.names if each not in shelf.purposes() and registry.find(account, each)]
    places = [environments.path(settings, name) for name in _known([each for each in given.names if each not in uris])]
    for place in places:
        shelf.remove(place)
    for each in uris:
        registry.remove(account, each)
    removed = [*map(str, places), *uris]
    printing.answer(given.json, {"removed": removed}, f"Removed: {', '.join(given.names)}.")
    return 0


def _gc(given: argparse.Namespace, settings: Settings) -> int:
    removed, kept, freed = [], [], 0
    for place in shelf.leftovers(settings):
        size = disk.size(place)
        try:
            shelf.remove(place)
        except shelf.InUse as error:
            kept.append(str(error))
        else:
            removed.append(str(place))
            freed += size
    images = collecting.collect(settings)
    freed += images.size + shelf.forget_bytecode(settings)
    others = f" and {len(images.removed)} image(s) of accounts" if images.removed else ""
    words = f"Removed {len(removed)} environment(s){others}, {freed / _MIB:,.0f} MiB."
    kept += images.kept
    facts = {"removed": [*removed, *images.removed], "bytes": freed, "in_use": kept}
    collected = layers.collect(settings)
    if collected is not None:
        words += f" Removed {collected.blobs} layer(s) of the registry, {collected.size / _MIB:,.0f} MiB."
        facts["layers"] = collected._asdict()
    printing.answer(given.json, facts, "\n".join([words, *kept]))
    return 0


def _known(names: list[str]) -> list[str]:
    for name in names:
        if pythons.lock_of(name) not in shelf.purposes():  # python-3.12 is one on another Python
            there = ", ".join(sorted(shelf.purposes()))
            raise Failure(f"There is no environment {name}, and no such registered URI. Environments: {there}.")
    return names


_ACTIONS = {"ls": _ls, "pull": _pull, "build": _build, "register": _register, "rm": _rm, "gc": _gc}
