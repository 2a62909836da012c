"""`clary images`: the environments that images stand for, while a server runs and while none does."""

from __future__ import annotations

import argparse
import sys

from clary.cli import printing
from clary.cli.failure import Failure
from clary.cli.server import settings_of
from clary.config import Settings
from clary.images import catalogue, environments, shelf
from clary.images.base import ImageBuildFailed, ImageNotOffered

_MIB = 1024**2


def command(given: argparse.Namespace) -> int:
    try:
        return _ACTIONS[given.action](given, settings_of(given))
    except (ImageBuildFailed, ImageNotOffered, shelf.InUse) as error:
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
    left = shelf.leftovers(settings)
    if left:
        lines.append(f"{len(left)} environment(s) of earlier versions: `clary images gc` removes them.")
    printing.answer(given.json, {"environments": facts, "leftovers": [str(each) for each in left]}, "\n".join(lines))
    return 0


def _state(kept: shelf.Kept) -> str:
    return f"{kept.size / _MIB:,.0f} MiB" if kept.ready else "not built"


def _pull(given: argparse.Namespace, settings: Settings) -> int:
    """What each URI means to a job without a script; a framework's image means its framework either way."""
    meanings = {uri: catalogue.find(uri) for uri in given.names}
    built = _made(given, settings, list(dict.fromkeys(each.lock for each in meanings.values())))
    facts = [{"uri": uri, "name": each.lock, "note": each.note} for uri, each in meanings.items()]
    notes = [each.note for each in meanings.values() if each.note]
    printing.answer(given.json, {"images": facts, "environments": built}, "\n".join([_told(built), *notes]))
    return 0


def _build(given: argparse.Namespace, settings: Settings) -> int:
    built = _made(given, settings, _known(given.names) or sorted(shelf.purposes()))
    printing.answer(given.json, {"environments": built}, _told(built))
    return 0


def _made(given: argparse.Namespace, settings: Settings, names: list[str]) -> dict[str, str]:
    """Builds what is not there. The installer's lines are the progress, on stderr."""

    def report(line: str) -> None:
        if not given.json:
            print(line, file=sys.stderr, flush=True)

    return {name: str(environments.build(settings, name, report)) for name in names}


def _told(built: dict[str, str]) -> str:
    return "\n".join(f"{name} is ready in {place}" for name, place in built.items())


def _rm(given: argparse.Namespace, settings: Settings) -> int:
    places = [environments.path(settings, name) for name in _known(given.names)]
    for place in places:
        shelf.remove(place)
    printing.answer(given.json, {"removed": [str(each) for each in places]}, f"Removed: {', '.join(given.names)}.")
    return 0


def _gc(given: argparse.Namespace, settings: Settings) -> int:
    removed, kept, freed = [], [], 0
    for place in shelf.leftovers(settings):
        size = shelf.size(place)
        try:
            shelf.remove(place)
        except shelf.InUse as error:
            kept.append(str(error))
        else:
            removed.append(str(place))
            freed += size
    words = f"Removed {len(removed)} environment(s), {freed / _MIB:,.0f} MiB."
    facts = {"removed": removed, "bytes": freed, "in_use": kept}
    printing.answer(given.json, facts, "\n".join([words, *kept]))
    return 0


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name not in shelf.purposes():
            raise Failure(f"There is no environment {name}. There are: {', '.join(sorted(shelf.purposes()))}.")
    return names


_ACTIONS = {"ls": _ls, "pull": _pull, "build": _build, "rm": _rm, "gc": _gc}
