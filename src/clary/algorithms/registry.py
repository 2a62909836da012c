"""Which algorithms there are: every folder here that has a spec.py. Standard library only."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from clary.algorithms.declaration import AlgorithmSpec, TrainingJob
from clary.algorithms.serving import Predictor


@functools.cache  # folders of this package: they change with the program only
def names() -> tuple[str, ...]:
    here = Path(__file__).parent
    return tuple(sorted(path.parent.name for path in here.glob("*/spec.py")))


def spec(name: str) -> AlgorithmSpec:
    """The declaration of one algorithm; KeyError when there is none of that name."""
    if name not in names():
        raise KeyError(name)
    return cast(AlgorithmSpec, importlib.import_module(f"clary.algorithms.{name}.spec").SPEC)


def specs() -> tuple[AlgorithmSpec, ...]:
    return tuple(spec(name) for name in names())


def trainer(name: str) -> Callable[[TrainingJob], None]:
    """Imports the algorithm's libraries: only inside its environment."""
    train = importlib.import_module(f"clary.algorithms.{spec(name).name}.train").train
    return cast(Callable[[TrainingJob], None], train)


def loader(name: str) -> Callable[[Path, Mapping[str, str]], Predictor]:
    """Imports the algorithm's libraries: only inside its environment."""
    load = importlib.import_module(f"clary.algorithms.{spec(name).name}.predict").load
    return cast(Callable[[Path, Mapping[str, str]], Predictor], load)
