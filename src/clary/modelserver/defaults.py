"""What a script's model server does where the script says nothing, framework by framework."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, cast

Handlers = Mapping[str, Callable[..., Any]]

_MODULES = {
    "scikit-learn": "estimators",
    "lightgbm": "estimators",
    "catboost": "estimators",
    "python": "estimators",
    "xgboost": "xgboost",
    "pytorch": "pytorch",
    "huggingface": "huggingface",
}


def of(framework: str) -> Handlers:
    """By the names of the handlers. Where there is no model_fn the script has to have one. Imports the framework."""
    return cast(Handlers, importlib.import_module(f"clary.modelserver.frameworks.{_MODULES[framework]}").HANDLERS)
