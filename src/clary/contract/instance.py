"""What an instance is asked to run, what it reports, and how it ended. Standard library only: the control plane, the
agent and what runs inside a sandbox all speak in these types. Everything is JSON both ways (`to_json`, `from_json`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

_T = TypeVar("_T")
Purpose = Literal["training", "serving"]
InputMode = Literal["File", "FastFile", "Pipe"]


@dataclass(frozen=True)
class Image:
    """A resolved image, whose code runs in `environment` (a folder, a virtual environment with a `bin/python`).
    kind "builtin": `algorithm` is a built-in one, whose libraries the environment has. kind "framework": a script of
    the user's runs in the environment of the framework that `algorithm` names. kind "folder": the programs `train` and
    `serve` of the folder `programs`, which stands for the image; `algorithm` is the name of the environment. kind
    "container": the image itself, which the machine's container engine has under the name `container`. `note` is for
    the log: what runs instead of the version that the URI names. `beneath` is what `environment` was made of, where it
    has packages of the user's besides. `repository` is the ARN of the ECR repository that the image is of, "" for all
    others. `pin` says what the URI stood for when it was looked up, of images that accounts can put others in the place
    of: given to the next look-up, the same is found again."""

    kind: Literal["builtin", "framework", "folder", "container"]
    uri: str
    algorithm: str
    environment: str
    note: str = ""
    programs: str = ""
    container: str = ""
    beneath: str = ""
    repository: str = ""
    pin: str = ""

    @property
    def foundation(self) -> str:
        """The environment whose own Python may run outside of a sandbox, as fork servers do: nothing of the user's is
        in it, of which every start could run something."""
        return self.beneath or self.environment

    @property
    def tag(self) -> str:
        """Of the URI; "latest" where it has none."""
        return self.uri.rpartition("/")[2].partition(":")[2] or "latest"


@dataclass(frozen=True)
class HostGroup:
    """Hosts of one instance type."""

    name: str
    instance_type: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Channel:
    """One input channel. `source` is an S3 URI; `source_type` is S3Prefix or ManifestFile; `hosts` are those that it
    is for, among whom it is shared out."""

    name: str
    source: str
    source_type: str = "S3Prefix"
    distribution: str = "FullyReplicated"
    content_type: str = ""
    compression: str = "None"
    record_wrapper: str = "None"
    mode: InputMode = "File"
    shuffle_seed: int | None = None
    hosts: tuple[str, ...] = ("algo-1",)


@dataclass(frozen=True)
class MetricDefinition:
    """`regex` group 1 is the value, searched in every log line."""

    name: str
    regex: str


@dataclass(frozen=True)
class InstanceSpec:
    """All an agent needs. `id` is unique and safe as a folder name; launching one id twice runs it once.

    host, hosts: names within the job ("algo-1"), sorted; of several, `peers` are the ids of all their instances and
    `groups` the instance groups that they are in; `output` is the S3 URI prefix `.../<job>/output` (training),
    `output_key` the KMS key (id, alias or ARN) that encrypts what goes there, "" for what the bucket is set to;
    `model_data` the S3 URI of model.tar.gz (serving); seconds for times, bytes for memory, 0 for no limit.
    `link` is the unix socket of the control plane's agent port, which also tells where S3 is; `token` proves to it
    that this agent is the one that was launched. `server` is the server's base URL for what runs inside, `authority`
    the file with the certificates by which that is trusted; "" for none. `nice` (0 to 19): how far the instance steps
    back where cores are short. `entrypoint` and `arguments` run in place of what the image runs by itself (training);
    () for what the request leaves out.
    """

    id: str
    purpose: Purpose
    image: Image
    job_name: str
    job_arn: str
    account: str
    region: str
    role_arn: str
    token: str
    link: str
    log_group: str
    log_stream: str
    host: str = "algo-1"
    hosts: tuple[str, ...] = ("algo-1",)
    peers: dict[str, str] = field(default_factory=dict)
    groups: tuple[HostGroup, ...] = ()
    instance_type: str = "ml.m5.large"
    environment: dict[str, str] = field(default_factory=dict)
    hyperparameters: dict[str, str] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    output: str = ""
    output_key: str = ""
    output_compression: str = "GZIP"
    model_data: str = ""
    metrics: tuple[MetricDefinition, ...] = ()
    max_runtime: float = 86_400.0
    stop_grace: float = 120.0
    startup_timeout: float = 240.0
    memory: int = 0
    volume: int = 0
    network_isolation: bool = False
    isolation: str = "auto"
    nice: int = 0
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    server: str = ""
    authority: str = ""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> InstanceSpec:
        data: dict[str, Any] = json.loads(text)
        data["image"] = Image(**data["image"])
        data["channels"] = tuple(_with_hosts(Channel, each) for each in data["channels"])
        data["groups"] = tuple(_with_hosts(HostGroup, each) for each in data.get("groups", ()))
        data["metrics"] = tuple(MetricDefinition(**each) for each in data["metrics"])
        for each in ("hosts", "entrypoint", "arguments"):
            data[each] = tuple(data.get(each, ()))
        return cls(**data)


def _with_hosts(kind: Callable[..., _T], data: dict[str, Any]) -> _T:
    return kind(**{name: tuple(value) if name == "hosts" else value for name, value in data.items()})


PhaseName = Literal["Starting", "Downloading", "Training", "Stopping", "Uploading", "Serving"]


@dataclass(frozen=True)
class Phase:
    """The agent entered `name` at `at` (epoch seconds); `message` is what clients show. A later phase of the same name
    with another message updates the message in place."""

    name: PhaseName
    at: float
    message: str = ""


@dataclass(frozen=True)
class Credentials:
    """A session of the job's role, for the agent's S3 traffic. `expires` in epoch seconds."""

    access_key: str
    secret_key: str
    session_token: str
    expires: float


Cause = Literal["completed", "failed", "stopped", "max-runtime", "lost"]


@dataclass(frozen=True)
class ExitRecord:
    """How an instance ended, written once. `exit_code` is the first process's status (128+n for signal n; None when it
    never ran). `failure` is the whole FailureReason ("AlgorithmError: ...", "ClientError: ...", "InternalServerError:
    ..."), empty unless cause is "failed" or "lost". `model` is the S3 URI of the uploaded model, empty when none was.
    `metrics` are the last values by name with their times: name -> (value, epoch seconds)."""

    cause: Cause
    exit_code: int | None
    failure: str
    started: float
    ended: float
    model: str = ""
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ExitRecord:
        data: dict[str, Any] = json.loads(text)
        data["metrics"] = {name: (float(value), float(at)) for name, (value, at) in data["metrics"].items()}
        return cls(**data)
