"""The AWS-managed policies that SDKs and tutorials name. The documents are a data file, read at first use."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

CREATED = 1_423_500_000.0  # AWS shows the day it published them; ours were all here from the start

_PREFIX = "arn:aws:iam::aws:policy"


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """`path` is `/` or the like of `/job-function/`; `document` is JSON text; `policy_id` never changes."""

    name: str
    path: str
    policy_id: str
    description: str
    document: str

    @property
    def arn(self) -> str:
        return f"{_PREFIX}{self.path}{self.name}"


def find(arn: str) -> ManagedPolicy | None:
    """AWS's policy of that ARN, None where it is none of AWS's."""
    return _by_arn().get(arn) if arn.startswith(_PREFIX) else None


def every() -> Iterable[ManagedPolicy]:
    return _by_arn().values()


@functools.cache
def _by_arn() -> Mapping[str, ManagedPolicy]:
    text = resources.files(__package__).joinpath("managed_policies.json").read_text(encoding="utf-8")
    found = (_read(name, each) for name, each in json.loads(text).items())
    return {policy.arn: policy for policy in found}


def _read(name: str, given: Mapping[str, str]) -> ManagedPolicy:
    document = json.dumps(given["Document"], separators=(",", ":"))
    return ManagedPolicy(name, given["Path"], given["PolicyId"], given["Description"], document)
