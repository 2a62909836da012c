"""The page of images: environments with their packages, and what each family of AWS's images means."""

from __future__ import annotations

from clary.images import lockfiles, shelf
from clary.images.families import FAMILIES
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
        packages = lockfiles.versions(name)
        listing = codes(f"{package} {version}" for package, version in packages.items())
        parts.append(f"### {name}\n\nFor {purpose}.\n\n" + folded(f"{len(packages)} packages", listing))
    parts.append("\n## Families\n\nEach repository that `sagemaker.image_uris.retrieve` can name.\n\n")
    parts.append(table(("repositories", "what they are", "what to do here"), _families()))
    return "".join(parts)


def _families() -> list[tuple[str, str, str]]:
    """Repositories are patterns, as they are matched."""
    return [
        (
            code(each.repositories.pattern),
            each.about,
            f"runs, in the environment {code(each.runs.lock)}" if each.runs else f"refused: {each.instead}",
        )
        for each in FAMILIES
    ]
