"""The page of images: environments with their packages, and what each family of AWS's images means."""

from __future__ import annotations

from clary.images import lockfiles, shelf
from clary.images.families import FAMILIES
from clary.images.frameworks import Framework
from clary.reference.markdown import code, codes, folded, table

_INTRODUCTION = """# Images

What an image URI means is decided by its repository and tag; account, region and DNS suffix do not matter. Nothing is
pulled: an image stands for an environment of Python packages, which is built from a lock file with hashes at the first
use (or by `clary images build`) and found again by every later job, without a network.

A version that a URI names and that is not there runs on the one that is; the job's log says so.

## Environments

"""


def page() -> str:
    parts = [_INTRODUCTION]
    for name, purpose in sorted(shelf.purposes().items()):
        parts.append(f"### {name}\n\nFor {purpose}.\n\n{_packages(name)}")
    parts.append("\n## Families\n\nEach repository that `sagemaker.image_uris.retrieve` can name, and Clary's own.\n\n")
    parts.append(table(("repositories", "what they are", "what to do here"), _families()))
    return "".join(parts)


def _packages(name: str) -> str:
    versions, special = lockfiles.versions(name), lockfiles.on_some_machines(name)
    usual, others = (
        codes(f"{package} {version}" for package, version in versions.items() if (package in special) is which)
        for which in (False, True)
    )
    listing = f"{usual}\n\nOn some machines or Pythons: {others}" if special else usual
    return folded(f"{len(versions) - len(special)} packages", listing)


def _families() -> list[tuple[str, str, str]]:
    """Repositories are patterns, as they are matched."""
    return [
        (
            code(each.repositories.pattern),
            each.about,
            _runs(each.runs) if each.runs else f"refused: {each.instead}",
        )
        for each in FAMILIES
    ]


def _runs(frameworks: tuple[Framework, ...]) -> str:
    versions = " or ".join(
        f"{code(each.lock)} ({each.version or 'of the version that the image names'})" for each in frameworks
    )
    return f"runs, in the environment {versions}" + (", whichever is nearer" if len(frameworks) > 1 else "")
