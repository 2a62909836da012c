"""botocore's service models, loaded when first needed, and the little about them that routing needs before that."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel

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


class _Descriptions(JSONFileLoader):
    """botocore's files as plain dicts, without the texts for people: they are a third of a server's models in memory
    and of the time to load them."""

    def load_file(self, file_path: str) -> Any:
        """The content of `file_path` with `.json` or `.json.gz` at its end; None when there is no such file."""
        plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if plain.is_file():
            return json.loads(plain.read_bytes(), object_hook=_without_text)
        return json.loads(gzip.decompress(packed.read_bytes()), object_hook=_without_text) if packed.is_file() else None


def _without_text(given: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given.get("documentation"), str):  # a member may be called so: then it is a dict
        del given["documentation"]
    return given


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
                self._models[name] = ServiceModel(description, service_name=name)
            return self._models[name]
