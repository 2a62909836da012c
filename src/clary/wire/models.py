"""botocore's service models, loaded when first needed, and the little about them that routing needs before that.

Of a model's thousands of shapes a server uses some dozens: each stays text until it is asked for, which is a fifth of
what it takes as dicts.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel, Shape

Protocol = Literal["json", "rest-json", "rest-xml", "query", "smithy-rpc-v2-cbor"]


@dataclass(frozen=True, slots=True)
class Traits:
    """How a service is recognised: `scope` is its name in a SigV4 credential scope, `target` the prefix of
    X-Amz-Target, `version` the value of a query's Version, `host` the name before `.<region>.amazonaws.com`; `links`
    are operations that links in a query service's messages ask for: without a signature, the proof is in the link."""

    scope: str
    host: str
    protocols: tuple[Protocol, ...]
    target: str = ""
    version: str = ""
    links: tuple[str, ...] = ()


# Stated here so that routing loads no model that the request does not need; a test holds it to botocore's metadata.
TRAITS: dict[str, Traits] = {
    "sagemaker": Traits("sagemaker", "api.sagemaker", ("json",), "SageMaker"),
    "sagemaker-runtime": Traits("sagemaker", "runtime.sagemaker", ("rest-json",)),
    "s3": Traits("s3", "s3", ("rest-xml",)),
    "s3control": Traits("s3", "s3-control", ("rest-xml",)),
    "sts": Traits("sts", "sts", ("query",), version="2011-06-15"),
    "iam": Traits("iam", "iam", ("query",), version="2010-05-08"),
    "kms": Traits("kms", "kms", ("json",), "TrentService"),
    "logs": Traits("logs", "logs", ("json",), "Logs_20140328"),
    "cloudwatch": Traits(
        "monitoring",
        "monitoring",
        ("smithy-rpc-v2-cbor", "json", "query"),
        "GraniteServiceVersion20100801",
        "2010-08-01",
    ),
    "sns": Traits("sns", "sns", ("query",), version="2010-03-31", links=("ConfirmSubscription", "Unsubscribe")),
    "ecr": Traits("ecr", "api.ecr", ("json",), "AmazonEC2ContainerRegistry_V20150921"),
    "application-autoscaling": Traits(
        "application-autoscaling", "application-autoscaling", ("json",), "AnyScaleFrontendService"
    ),
    "events": Traits("events", "events", ("json",), "AWSEvents"),
    "sagemaker-featurestore-runtime": Traits("sagemaker", "featurestore-runtime.sagemaker", ("rest-json",)),
    "sagemaker-metrics": Traits("sagemaker", "metrics.sagemaker", ("rest-json",)),
}

SERVICES: tuple[str, ...] = tuple(TRAITS)


class _Texts(dict[str, Any]):
    """The members of an object as JSON, each decoded when it is first asked for by its name. `exceptions` are those
    that describe errors."""

    exceptions: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, str):
            value = self[name] = json.loads(value)
        return value


class _Descriptions(JSONFileLoader):
    """botocore's files as plain dicts, without the texts for people: they are two thirds of the files. What they say of
    shapes and operations are `_Texts`."""

    def load_file(self, file_path: str) -> Any:
        """The content of `file_path` with `.json` or `.json.gz` at its end; None when there is no such file."""
        plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if plain.is_file():
            return _description(plain.read_text(encoding="utf-8"))
        return _description(gzip.decompress(packed.read_bytes()).decode()) if packed.is_file() else None


def _description(text: str) -> dict[str, Any]:
    return _without_text(_members(text, _after(text, 0), _read)[0])


def _read(text: str, at: int, name: str) -> tuple[Any, int]:
    """The member `name` of a description, which begins at `at`, and where it ends."""
    if name not in ("shapes", "operations"):
        return _DECODER.raw_decode(text, at)
    exceptions: list[str] = []

    def read(text: str, at: int, name: str) -> tuple[Any, int]:
        value, end = _DECODER.raw_decode(text, at)
        if value.get("exception"):
            exceptions.append(name)
        return json.dumps(value, separators=(",", ":")), end

    members, end = _members(text, at, read)
    texts = _Texts(members)
    texts.exceptions = tuple(exceptions)
    return texts, end


def _members(text: str, at: int, read: Callable[[str, int, str], tuple[Any, int]]) -> tuple[dict[str, Any], int]:
    """The object that begins at `at`, and where it ends; `read(text, begin, name)` does so for each of its members."""
    found = {}
    at = _after(text, at + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        found[name], at = read(text, _after(text, at), name)
        at = _after(text, at)
    return found, at + 1


def _after(text: str, at: int) -> int:
    return _BETWEEN.match(text, at).end()  # type: ignore[union-attr] # it matches nothing too


def _without_text(given: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given.get("documentation"), str):  # a member may be called so: then it is a dict
        del given["documentation"]
    return given


_BETWEEN = re.compile(r"[\s,:]*")  # what stands between names and values
_DECODER = json.JSONDecoder(object_hook=_without_text)


class _Model(ServiceModel):
    """Finds its errors without a look at every shape."""

    def __init__(self, description: dict[str, Any], name: str) -> None:
        super().__init__(description, service_name=name)
        self._errors: tuple[str, ...] = description["shapes"].exceptions

    @functools.cached_property
    def error_shapes(self) -> list[Shape]:
        return [self.shape_for(name) for name in self._errors]


class Models:
    """The service models, each loaded once and kept. Safe to share between threads."""

    def __init__(self) -> None:
        self._loader = Loader(file_loader=_Descriptions())
        self._models: dict[str, ServiceModel] = {}
        self._lock = threading.Lock()

    def service(self, name: str) -> ServiceModel:
        """The model of one of SERVICES. Raises KeyError for any other name."""
        model = self._models.get(name)
        if model is not None:
            return model
        if name not in TRAITS:
            raise KeyError(name)
        with self._lock:
            if name not in self._models:
                description = self._loader.load_service_model(name, "service-2")
                self._models[name] = _Model(description, name)
            return self._models[name]
