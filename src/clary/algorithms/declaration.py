"""What an algorithm declares about itself. Standard library only: the control plane reads it too.

A built-in algorithm is one folder here with `spec.py` (SPEC: AlgorithmSpec, PRELOAD: modules that a fork server
imports before it forks), `train.py` (`train(job: TrainingJob) -> None`) and `predict.py` (`load(model folder,
environment) -> Predictor`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clary.algorithms.errors import ClientError
from clary.algorithms.hyperparameters import Hyperparameters
from clary.contract.layout import Layout


@dataclass(frozen=True, slots=True)
class Repository:
    """An ECR repository whose images mean this algorithm. `tags` are those that AWS's SDK can produce."""

    name: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """`regex` group 1 is the value in a log line, with tabs written `#011` as CloudWatch shows them."""

    name: str
    regex: str
    maximize: bool
    tunable: bool = False


@dataclass(frozen=True, slots=True)
class ChannelInput:
    """A channel as the job got it: the folder, the media type in lower case, and the type's parameters
    (`text/csv;label_size=1` has label_size "1")."""

    path: Path
    content_type: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What `train` gets: checked hyperparameters and channels, and where things are."""

    layout: Layout
    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, ChannelInput]
    host: str = "algo-1"
    hosts: tuple[str, ...] = ("algo-1",)


@dataclass(frozen=True, slots=True)
class ChannelDeclaration:
    """`content_types` are media types in lower case; `pipe_refusal` says why Pipe mode is refused."""

    name: str
    required: bool
    content_types: tuple[str, ...]
    pipe_refusal: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a model's Environment that its model server reads; `about` says what it does, Markdown."""

    name: str
    about: str


@dataclass(frozen=True, slots=True)
class Example:
    """The smallest real use, for the checks that every algorithm must pass: hyperparameters; channel -> (content type,
    bytes of one file); requests as (content type, body)."""

    hyperparameters: Mapping[str, str]
    channels: Mapping[str, tuple[str, bytes]]
    requests: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class AlgorithmSpec:
    """`environment` names the lock file of its libraries (clary/images/locks); `model_file` is in every model it saves;
    `many_instances` says whether one job may use more than one instance. `variables` are those of a model server."""

    name: str
    environment: str
    repositories: tuple[Repository, ...]
    channels: tuple[ChannelDeclaration, ...]
    default_content_type: str
    hyperparameters: Hyperparameters
    metrics: tuple[Metric, ...]
    model_file: str
    accepts: tuple[str, ...]
    example: Example
    many_instances: bool = False
    variables: tuple[Variable, ...] = ()

    def channel_inputs(self, given: Mapping[str, Mapping[str, str]], layout: Layout) -> dict[str, ChannelInput]:
        """The channels of inputdataconfig.json, checked; raises ClientError."""
        declared = {each.name: each for each in self.channels}
        for each in self.channels:
            if each.required and each.name not in given:
                raise ClientError(f"Missing required channel: {each.name}")
        for name in given:
            if name not in declared:
                raise ClientError(f"Extraneous channel found: {name}")
        return {name: self._input(declared[name], config, layout) for name, config in given.items()}

    def _input(self, channel: ChannelDeclaration, config: Mapping[str, str], layout: Layout) -> ChannelInput:
        text = config.get("ContentType") or self.default_content_type
        media, parameters = split_content_type(text)
        if media not in channel.content_types:
            known = ", ".join(channel.content_types)
            raise ClientError(f"{text} is not an accepted ContentType: {known}.")
        if config.get("TrainingInputMode") == "Pipe":
            raise ClientError(channel.pipe_refusal)
        return ChannelInput(layout.channel(channel.name), media, parameters)


def split_content_type(text: str) -> tuple[str, dict[str, str]]:
    """ "Text/CSV; label_size=1" -> ("text/csv", {"label_size": "1"})."""
    media, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest if "=" in part)
    return media.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
