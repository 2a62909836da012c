"""The page of what is built, from botocore's models and the tables of operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from botocore.model import ServiceModel

from clary.reference import refusals
from clary.reference.markdown import code, codes, folded, table
from clary.reference.recorded import RECORDED
from clary.services import ecr, iam, kms, logs, s3, s3control, sagemaker, sns, sts, tables
from clary.services.operation import Handler
from clary.serving import gateway
from clary.wire.models import SERVICES, Models

_BUILT = (ecr, iam, kms, logs, s3, s3control, sagemaker, sns, sts)
_PACKAGES = {package.__name__.rpartition(".")[2]: package for package in _BUILT}
_RUNTIME = "sagemaker-runtime"  # answered by the edge, without a table

_INTRODUCTION = """# Compatibility

What of AWS is built, counted against botocore's service models. Three rules:

- An **operation** that is not built answers `NotImplemented`, HTTP status 501, with its name.
- An **option** that is not built is refused by name, and the whole request with it. "…" stands for what was asked for.
- What is **recorded without effect** is accepted, kept and shown, and changes nothing; each has its reason below.

Three things that hold for all services:

- Every request's signature is verified (SigV4, and SigV2 for presigned S3 URLs and forms), and every operation is
  authorised before it runs: by the policies of users, groups and roles, permissions boundaries, session and bucket
  policies. Uploads to S3 by HTML forms, which the models do not have, are built, and authorised as `PutObject`.
- [Built-in algorithms](algorithms.md) and [scripts of your own](../guide/scripts.md) in the environments of
  [frameworks](images.md) run; [container images](../guide/containers.md) where podman is installed.
- The first account is that of the [settings](settings.md); a file can [add others](../guide/access.md#accounts).
  Resources are kept apart by account and by the region that a request is signed for.

"""


def page() -> str:
    models = Models()
    services = {name: models.service(name) for name in SERVICES}
    built = {name: _built(name) for name in services}
    rows = [
        (f"[{name}](#{name})" if built[name] else name, str(len(built[name])), str(len(services[name].operation_names)))
        for name in sorted(services, key=lambda name: (-len(built[name]), name))
    ]
    parts = [_INTRODUCTION, "## Services\n\n", table(("service", "operations built", "in AWS"), rows)]
    parts += [
        "\nA request to any other service answers `NotImplemented`, HTTP status 501, with the name of the service.\n"
    ]
    parts += [_section(name, services[name], built[name]) for name in sorted(services) if built[name]]
    return "".join(parts)


def _built(service: str) -> Mapping[str, Handler | None]:
    if service == _RUNTIME:
        return {"InvokeEndpoint": None}
    return dict(tables.OPERATIONS.get(service, ()))


def _section(name: str, model: ServiceModel, built: Mapping[str, Handler | None]) -> str:
    reasons = tables.OPERATIONS[name].reasons if name in tables.OPERATIONS else {}
    missing = sorted(set(model.operation_names) - built.keys() - reasons.keys())
    parts = [f"\n## {name}\n\nBuilt: {codes(sorted(built))}.\n"]
    if reasons:
        rows = [(codes(sorted(names)), why) for why, names in _by_reason(reasons).items()]
        parts += ["\n### Not built, for a reason\n\n", table(("operations", "why"), rows)]
    if missing:
        parts += ["\n", folded(f"Not built: {len(missing)} operations", codes(missing))]
    if refused := list(_refused(name, model, built)):
        parts += ["\n### Options refused\n\n", table(("operation", "options"), refused)]
    if recorded := list(_recorded(name)):
        parts += ["\n### Recorded without effect\n\n", table(("operation", "option", "why"), recorded)]
    return "".join(parts)


def _by_reason(reasons: Mapping[str, str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, why in reasons.items():
        found.setdefault(why, []).append(name)
    return found


def _refused(name: str, model: ServiceModel, built: Mapping[str, Handler | None]) -> Iterator[tuple[str, str]]:
    if name == _RUNTIME:
        yield code("InvokeEndpoint"), codes(sorted(f"header {each}" for each in gateway._NOT_BUILT))
        return
    by_name = refusals.by_name(_PACKAGES[name])
    if several := by_name.get(refusals.ANY):
        yield "wherever it can be given", codes(several)
    for operation, handler in sorted(built.items()):
        options = list(by_name.get(operation, ()))
        if handler is not None:
            options += refusals.not_understood(handler, model.operation_model(operation))
        if options:
            yield code(operation), codes(options)


def _recorded(name: str) -> Iterator[tuple[str, str, str]]:
    for (service, operation), members in RECORDED.items():
        if service == name:
            for member, reason in members.items():
                yield code(operation), code(member), reason
