"""Framework environments: what scripts of a framework's images run in here, whatever version their URI names."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Framework:
    """`lock` names the lock file of its environment, `package` the line in it that is the framework itself; `scheme`
    finds in a tag the framework's version, as group 1."""

    name: str
    title: str
    lock: str
    package: str
    scheme: re.Pattern[str]


# 1.2-1-cpu-py3, 1.0-1-arm64-cpu-py3, 1.4-2-py312-cpu-py3, 3.0-5
_VERSION_AND_BUILD = re.compile(r"(\d+\.\d+(?:\.\d+)?(?:-\d+)?)(?:-arm64|-py3\d+)?(?:-(?:cpu|gpu)(?:-py3\d*)?)?")

SCIKIT_LEARN = Framework("scikit-learn", "scikit-learn", "scikit-learn", "scikit-learn", _VERSION_AND_BUILD)
XGBOOST = Framework("xgboost", "XGBoost", "xgboost-script", "xgboost-cpu", _VERSION_AND_BUILD)

FRAMEWORKS = (SCIKIT_LEARN, XGBOOST)
