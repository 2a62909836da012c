"""`clary configure`: writes what points AWS clients here into the user's ~/.aws; asks first, and can take it back."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from clary.cli import endpoints, pointing, printing
from clary.cli.failure import Failure
from clary.cli.hints import hint
from clary.cli.profile import Profile
from clary.cli.server import Server, running, settings_of


def command(given: argparse.Namespace) -> int:
    profile = Profile(_config_file(settings_of(given).home), given.profile)
    models = Path("~/.aws/models/endpoints.json").expanduser()
    if given.undo:
        return _undo(given, profile, models)
    server = running(given)
    profile.check()
    if given.endpoints:
        endpoints.check(models)
    _agree(given, profile, models)
    profile.write(_values(server))
    written = [profile.path]
    if given.endpoints:
        endpoints.write(models, server.port)
        written.append(models)
    words = f"Wrote {' and '.join(map(str, written))}. Use it with AWS_PROFILE={given.profile}."
    printing.answer(given.json, {"written": [str(path) for path in written], "profile": given.profile}, words)
    if os.environ.get("AWS_CA_BUNDLE"):
        printing.note(
            "AWS_CA_BUNDLE is set here and wins over the profile's ca_bundle: unset it where you use the profile."
        )
    if not given.endpoints:
        run = hint(server.settings, "run")
        printing.note(f"the SageMaker SDKs reach STS at an address of their own: for them use `{run}` or --endpoints.")
    return 0


def _config_file(home: Path) -> Path:
    """The user's own, also inside `clary run`, which names one of the home to who has none."""
    named = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    return Path("~/.aws/config").expanduser() if named.parent == home else named


def _values(server: Server) -> dict[str, str]:
    """`credential_process` hands out sessions as they are needed, so no key is written anywhere."""
    command = [sys.executable, "-P", "-m", "clary.cli", "credentials", "--home", str(server.settings.home)]
    return {
        "region": server.settings.region,
        "endpoint_url": server.url.replace("http://", "https://"),
        "ca_bundle": str(pointing.bundle(server, os.environ)),
        "credential_process": " ".join(f'"{word}"' if " " in word else word for word in command),
    }


def _agree(given: argparse.Namespace, profile: Profile, models: Path) -> None:
    if given.yes:
        return
    plan = [f"This writes the profile {profile.name!r} into {profile.path}."]
    if given.endpoints:
        plan.append(f"It also writes {models}: STS calls of every profile will go to Clary until you undo it.")
    if given.json or not sys.stdin.isatty():
        raise Failure(" ".join([*plan, "Say --yes to do it."]))
    print("\n".join([*plan, f"Take it back with: {_undoing(profile)}"]))
    if input("Do it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Failure("Nothing was changed.")


def _undoing(profile: Profile) -> str:
    return "clary configure --undo" + (f" --profile {profile.name}" if profile.name != "clary" else "")


def _undo(given: argparse.Namespace, profile: Profile, models: Path) -> int:
    undone = [str(path) for path, was in ((profile.path, profile.remove()), (models, endpoints.remove(models))) if was]
    words = f"Took back what was written into {' and '.join(undone)}." if undone else "There is nothing to take back."
    printing.answer(given.json, {"undone": undone}, words)
    return 0
