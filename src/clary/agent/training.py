"""A training instance from its inputs to its exit record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from clary.agent import command, failures, furnish, script, together
from clary.agent.cell import Preparing, Request
from clary.agent.collect import Collector
from clary.agent.context import Context
from clary.agent.failures import ClientFailure, InternalFailure
from clary.agent.lines import MetricScraper
from clary.agent.s3 import S3, Unwanted
from clary.agent.stage import stage_channel
from clary.agent.watch import End, LogShipper, Watch
from clary.contract.instance import Cause, ExitRecord
from clary.contract.layout import Layout
from clary.sandbox.limits import Group

DOWN = "InternalServerError: Clary was shut down while this instance ran."
_CAUSES: dict[End, Cause] = {"stopped": "stopped", "max-runtime": "max-runtime", "down": "lost"}


@dataclass
class _Result:
    """How it stands so far; becomes the exit record."""

    started: float = field(default_factory=time.time)
    cause: Cause = "completed"
    failure: str = ""
    model: str = ""
    status: int | None = None
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)

    def record(self) -> ExitRecord:
        return ExitRecord(
            self.cause, self.status, self.failure, self.started, time.time(), self.model, dict(self.metrics)
        )


def run(context: Context) -> ExitRecord:
    """Never raises but for defects: what goes wrong is in the record."""
    result = _Result()
    group = Group((), limits_memory=False, limits_processes=False)
    try:
        s3 = context.s3()
        context.phase("Starting", "Preparing the instances for training")
        furnish.make_tree(context)
        group = furnish.make_limits(context)
        with context.prepared(partial(_request, context, group), partial(_stage, context, s3)) as preparation:
            end = _train(context, preparation, result)
        _collect(context, s3, end, group, result)
    except Unwanted:
        result.cause = "stopped" if context.orders.stop and not context.orders.down else "lost"
        result.failure = "" if result.cause == "stopped" else DOWN
    except Exception as error:
        result.cause, result.failure = "failed", failures.of_error(error)
        if failures.no_space(error):
            context.make_room()
    finally:
        group.remove()
    return result.record()


def _request(context: Context, group: Group) -> Request:
    spec = context.spec
    for each in spec.channels:  # what is mounted has to be there
        context.layout.channel(each.name).mkdir(parents=True, exist_ok=True)
    readonly = [f"input/data/{each.name}" for each in spec.channels if each.mode == "FastFile"]
    confinement = furnish.confinement(context, group, readonly)
    if spec.network_isolation and confinement.rung == "plain":
        raise ClientFailure(
            "EnableNetworkIsolation was asked for, but this machine cannot isolate (see `clary doctor`)."
        )
    if len(spec.hosts) > 1 and confinement.rung == "plain":
        raise ClientFailure(
            "A job of several instances needs a network of its own, which this machine cannot make (see `clary "
            "doctor`). Please use one instance."
        )
    service = {"TRAINING_JOB_NAME": spec.job_name, "TRAINING_JOB_ARN": spec.job_arn}
    entry = "training" if spec.image.kind == "builtin" else "script"
    if spec.image.kind == "folder" or (spec.entrypoint and spec.image.kind != "container"):
        entry = "command"
        service |= command.variables(command.of_training(spec, confinement), confinement)
    return Request(entry, confinement, furnish.environment(context, confinement, service))


def _stage(context: Context, s3: S3) -> None:
    spec = context.spec
    script.stage(context, s3)
    if spec.channels:
        context.phase("Downloading", "Downloading input data")
    for channel in spec.channels:
        folder = context.layout.channel(channel.name)
        stage_channel(s3, channel, folder, sorted(channel.hosts).index(spec.host), len(channel.hosts))
        if spec.image.kind != "builtin" and channel.mode == "File":
            context.give(folder)
    furnish.write_configs(spec, context.layout)
    script.stage_driven(context)


def _train(context: Context, preparation: Preparing, result: _Result) -> End:
    spec = context.spec
    scraper = MetricScraper(spec.metrics)
    cell = context.begin(preparation)
    result.started = time.time()
    context.phase("Training", "Training image download completed. Training in progress.")
    deadline = time.monotonic() + spec.max_runtime if spec.max_runtime else None
    logs = LogShipper(context.logs, scraper, context.spool.behind)
    overdue = partial(context.phase, "Stopping", "Stopping the training job")
    end = Watch(cell, context.orders, logs, spec.stop_grace, deadline, overdue=overdue).follow()
    result.status, result.metrics = cell.status, scraper.values
    return end


def _collect(context: Context, s3: S3, end: End, group: Group, result: _Result) -> None:
    """What the end means, and what is uploaded after it."""
    context.collecting = True
    result.cause = _CAUSES.get(end, "completed" if result.status == 0 else "failed")
    if result.cause == "lost":
        result.failure = DOWN
        return
    if result.cause == "failed":
        hint = context.hint(result.status, group)
        result.failure = failures.of_job(context.layout.failure, result.status or 0, hint)
    # One that failed collects at once: the others are stopped when that is known.
    if result.cause == "failed":
        _upload(context, s3, [context.layout], result, ["failed"])
    elif together.leads(context):
        causes = together.others_ended(context)
        _upload(context, s3, together.layouts(context), result, [result.cause, *causes])


def _upload(context: Context, s3: S3, layouts: Sequence[Layout], result: _Result, causes: Sequence[Cause]) -> None:
    """What the hosts left that ended for these causes. Of one that failed there is no model."""
    collector = Collector(s3, context.spec, layouts, context.folder.scratch)
    context.phase("Uploading", "Uploading generated training model")
    try:
        if set(causes) == {"completed"} or (not {"failed", "lost"} & set(causes) and collector.has_model()):
            result.model = collector.model()
        collector.data()
    except (ClientFailure, InternalFailure) as error:
        if result.cause == "completed":
            raise
        context.say(f"Clary: the outputs of this job could not be uploaded: {error}")
