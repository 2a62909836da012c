"""Where things are below `/opt/ml` (or the folder that stands in for it). Standard library only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_BASE = Path("/opt/ml")
BASE_VARIABLE = "SAGEMAKER_BASE_DIR"


@dataclass(frozen=True, slots=True)
class Layout:
    """The tree a container may rely on. `base` is `/opt/ml` inside a sandbox that has a private root."""

    base: Path = DEFAULT_BASE

    @classmethod
    def here(cls, environment: Mapping[str, str] | None = None) -> Layout:
        """The layout of the running process: `SAGEMAKER_BASE_DIR` where it is set, else `/opt/ml`."""
        given = (os.environ if environment is None else environment).get(BASE_VARIABLE)
        return cls(Path(given) if given else DEFAULT_BASE)

    @property
    def input(self) -> Path:
        return self.base / "input"

    @property
    def config(self) -> Path:
        return self.input / "config"

    @property
    def hyperparameters(self) -> Path:
        """hyperparameters.json: a flat object of strings."""
        return self.config / "hyperparameters.json"

    @property
    def input_data_config(self) -> Path:
        """inputdataconfig.json: an object keyed by channel."""
        return self.config / "inputdataconfig.json"

    @property
    def resource_config(self) -> Path:
        """resourceconfig.json: hosts and instance groups."""
        return self.config / "resourceconfig.json"

    @property
    def data(self) -> Path:
        """One folder per channel."""
        return self.input / "data"

    def channel(self, name: str) -> Path:
        return self.data / name

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def output_data(self) -> Path:
        return self.output / "data"

    @property
    def failure(self) -> Path:
        """A text; its first 1024 characters become the FailureReason. A first line that begins with `ClientError:` or
        `AlgorithmError:` names the class of the failure."""
        return self.output / "failure"

    @property
    def checkpoints(self) -> Path:
        return self.base / "checkpoints"

    @property
    def code(self) -> Path:
        return self.base / "code"

    def inputs(self) -> tuple[Path, ...]:
        """Folders that exist before the first process starts and hold what the service put there."""
        return (self.input, self.config, self.data)

    def outputs(self) -> tuple[Path, ...]:
        """Folders that exist, empty and writable, before the first process starts."""
        return (
            self.model,
            self.output,
            self.output_data,
            self.output / "intermediate",
            self.output / "metrics" / "sagemaker",
            self.checkpoints,
            self.code,
        )
