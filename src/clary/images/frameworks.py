"""Framework environments: what scripts of a framework's images run in here, whatever version their URI names."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from clary.images import lockfiles, pythons


@dataclass(frozen=True, slots=True)
class Framework:
    """`lock` names the lock file of its environment, `package` the line in it that is the framework itself, empty for
    Python alone, whose version is that of the image; `scheme`
    finds in a tag the framework's version, as group 1 (None where the tag names none). `newest_python` is the last
    Python, major and minor, that its packages have wheels for, where it is not the newest there is."""

    name: str
    title: str
    lock: str
    package: str
    scheme: re.Pattern[str]
    newest_python: tuple[int, int] | None = None

    @property
    def version(self) -> str:
        """Of what is there, without the build that it is ("+cpu")."""
        if not self.package:
            return ""
        return lockfiles.versions(self.lock)[self.package].partition("+")[0]

    @property
    def builds_here(self) -> bool:
        """Whether the Python of this machine has wheels of it."""
        return self.newest_python is None or sys.version_info[:2] <= self.newest_python


# 1.2-1-cpu-py3, 1.0-1-arm64-cpu-py3, 1.4-2-py312-cpu-py3, 3.0-5
_VERSION_AND_BUILD = re.compile(r"(\d+\.\d+(?:\.\d+)?(?:-\d+)?)(?:-arm64|-py3\d+)?(?:-(?:cpu|gpu)(?:-py3\d*)?)?")
# 2.1.0-gpu-py310-cu118-ubuntu20.04-sagemaker, 2.16.1-cpu, 1.15.2-cpu-py3, 2.13-cu133-amzn2023-sagemaker
_REST = r"(?:-(?:cpu|gpu|py3\d*|cu\d+|ubuntu\d\d\.\d\d|amzn\d{4}|sagemaker|v\d+(?:\.\d+)*))*"
_DEEP_LEARNING = re.compile(rf"(\d+\.\d+(?:\.\d+)?){_REST}")
# 2.1.0-transformers4.37.0-gpu-py310-cu118-ubuntu20.04: the version of the base comes first
_TRANSFORMERS = re.compile(rf"\d+\.\d+(?:\.\d+)?-transformers(\d+\.\d+(?:\.\d+)?){_REST}")
# images that no cloud has: lightgbm, lightgbm:latest, lightgbm:4.6, lightgbm:4.6.0-cpu-py3
_PLAIN = re.compile(rf"(?:latest|(\d+(?:\.\d+){{0,2}}){_REST})")

SCIKIT_LEARN = Framework("scikit-learn", "scikit-learn", "scikit-learn", "scikit-learn", _VERSION_AND_BUILD)
XGBOOST = Framework("xgboost", "XGBoost", "xgboost-script", "xgboost-cpu", _VERSION_AND_BUILD)
PYTORCH = Framework("pytorch", "PyTorch", "pytorch", "torch", _DEEP_LEARNING)
TENSORFLOW = Framework("tensorflow", "TensorFlow", "tensorflow", "tensorflow-cpu", _DEEP_LEARNING)
TENSORFLOW_2_15 = Framework(  # the last one with tf.estimator and with Keras 2
    "tensorflow", "TensorFlow", "tensorflow-2.15", "tensorflow-cpu", _DEEP_LEARNING, newest_python=(3, 11)
)
HUGGING_FACE = Framework("huggingface", "Hugging Face Transformers", "huggingface", "transformers", _TRANSFORMERS)
LIGHTGBM = Framework("lightgbm", "LightGBM", "lightgbm", "lightgbm", _PLAIN)
CATBOOST = Framework("catboost", "CatBoost", "catboost", "catboost", _PLAIN)
PYTHON = Framework("python", "Python", pythons.NEUTRAL, "", re.compile(r"(?:latest|1\.0)()"))

FRAMEWORKS = (SCIKIT_LEARN, XGBOOST, PYTORCH, TENSORFLOW, TENSORFLOW_2_15, HUGGING_FACE, LIGHTGBM, CATBOOST, PYTHON)


def nearest(frameworks: Sequence[Framework], version: str) -> Framework:
    """Of several versions of a framework, of which the newest builds everywhere, what to run instead of `version`: the
    oldest that is no older, else the newest."""
    here = sorted((each for each in frameworks if each.builds_here), key=lambda each: _release(each.version))
    return next((each for each in here if version and _release(each.version) >= _release(version)), here[-1])


def _release(version: str) -> tuple[int, ...]:
    """Major and minor: what of a version decides whether programs run."""
    return tuple(int(part) for part in version.partition("-")[0].split(".")[:2])
