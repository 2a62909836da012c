"""Image URIs to what runs for them, by repository and tag: account, region and DNS suffix do not matter."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from clary.algorithms import registry
from clary.algorithms.declaration import AlgorithmSpec
from clary.images import families, pythons
from clary.images.base import ImageNotOffered, ImageUnknown
from clary.images.frameworks import FRAMEWORKS, PYTHON, Framework, nearest

_URI = re.compile(
    r"(?:(?P<host>[^/]+[.:][^/]+)/)?(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?"
)
_GPU = re.compile(r"-(gpu|cu\d+)\b")

_ABSENT = "No repository of yours has it: `aws ecr list-images --repository-name {}` says which images it has."
_REGISTER = (
    "With `clary images register URI FOLDER` a folder that holds the programs `train` and `serve` stands for an image; "
    "where podman is there, `clary images pull URI` fetches one, and those of your repositories are found."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A taken-apart image URI; `tag` is "latest" where the URI has none."""

    uri: str
    repository: str
    tag: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a URI means. An algorithm's name, or a framework's for scripts; `lock` names the environment; `note` is what
    to tell who asked for another version."""

    framework: bool
    name: str
    lock: str
    note: str = ""


def parse(uri: str) -> Reference:
    """Raises ImageNotOffered for what is no image URI, and for digests: Clary has no images to take a digest of."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ImageNotOffered(f"'{uri}' is not a valid image URI.")
    if match["digest"]:
        raise ImageUnknown(f"Image '{uri}' is named by digest; name it by tag. {_offered()}")
    return Reference(uri, match["repository"], match["tag"] or "latest")


@functools.lru_cache(512)  # it changes with the program only
def find(uri: str, script: bool = False) -> Meaning:
    """What runs for the image; with a `script`, what runs the script. Raises ImageNotOffered saying what exists
    instead."""
    reference = parse(uri)
    family = families.of(reference.repository)
    frameworks = family.runs if family else ()
    algorithm = _algorithm(reference)
    if algorithm and not (script and frameworks):
        if script:
            raise ImageNotOffered(f"Image '{uri}' is a built-in algorithm, which runs no script. {_offered()}")
        return Meaning(False, algorithm.name, algorithm.environment)
    if frameworks:
        return _framework(reference, frameworks)
    if family:
        raise ImageNotOffered(f"Image '{uri}' is {family.about}: {family.instead}. {_offered()}")
    absent = f" {_ABSENT.format(reference.repository)}" if ".dkr.ecr." in uri else ""
    raise ImageUnknown(f"Image '{uri}' is not known to Clary.{absent} {_REGISTER} {_offered()}")


def _algorithm(reference: Reference) -> AlgorithmSpec | None:
    for spec in registry.specs():
        for repository in spec.repositories:
            if repository.name != reference.repository:
                continue
            if reference.tag in repository.tags:
                return spec
            tags = ", ".join(repository.tags)
            raise ImageNotOffered(
                f"Image '{reference.uri}' is not offered: {repository.name} has no tag '{reference.tag}'. Tags: {tags}."
            )
    return None


def _framework(reference: Reference, frameworks: tuple[Framework, ...]) -> Meaning:
    if reference.tag.endswith("-py2"):
        raise ImageNotOffered(f"Image '{reference.uri}' is for Python 2: give py_version=\"py3\". {_offered()}")
    found = frameworks[0].scheme.fullmatch(reference.tag)
    if found is None:
        raise ImageNotOffered(
            f"Image '{reference.uri}' is not offered: '{reference.tag}' is no tag of {reference.repository}. "
            "A tag begins with a version, as in 1.2-1-cpu-py3."
        )
    if frameworks == (PYTHON,):
        return _python(reference)
    asked = found[1] or ""
    framework = nearest(frameworks, asked)
    return Meaning(True, framework.name, framework.lock, _note(reference, framework, asked))


def _python(reference: Reference) -> Meaning:
    """Python itself, in the version that ends the repository's name; without one Clary's own. Whether it is on this
    machine shows when its environment is built."""
    digits = reference.repository.rpartition("-")[2].removeprefix("python")
    version = f"{digits[0]}.{digits[1:]}" if digits else pythons.OWN
    if tuple(map(int, version.split("."))) < pythons.OLDEST:
        oldest = ".".join(map(str, pythons.OLDEST))
        raise ImageNotOffered(
            f"Image '{reference.uri}' is for Python {version}, and jobs run here on {oldest} and newer. Run the client "
            f"on Python {oldest} or newer, or give an image_uri. {_offered()}"
        )
    return Meaning(True, PYTHON.name, pythons.environment(version))


def _note(reference: Reference, framework: Framework, asked: str) -> str:
    """Of a version another is run; an image's build number ("-1") says nothing of the framework."""
    here = framework.version
    gpu = " The image is for a GPU; it runs on the CPU here." if _GPU.search(reference.tag) else ""
    wanted = asked.partition("-")[0]
    if not wanted or here == wanted or here.startswith(f"{wanted}."):
        return gpu.strip()
    return f"Framework version {asked} is not offered; this runs on {framework.title} {here}.{gpu}"


def _offered() -> str:
    algorithms = {repository.name for spec in registry.specs() for repository in spec.repositories}
    titles = ", ".join(f"{each.title} {each.version}".strip() for each in FRAMEWORKS)
    return f"Offered: {', '.join(sorted(algorithms))}; for scripts {titles}."
