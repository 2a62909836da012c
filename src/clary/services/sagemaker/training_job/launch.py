"""From a training job's document to the instances that run it."""

from __future__ import annotations

import re
from itertools import pairwise

from clary.config import Settings
from clary.contract.instance import Channel, HostGroup, Image, InstanceSpec, MetricDefinition
from clary.images.base import Images
from clary.scheduler import admission, instance_types
from clary.services.operation import Document
from clary.services.sagemaker import launches
from clary.services.sagemaker.training_job import command, hosts, metrics, retries
from clary.store.records import Record

_BASE_PYTHON = re.compile(r"((?:[^/]+/)?sagemaker-base-python)(:[^:/]+|)")
_VERSION = re.compile(r"(3)\.(\d{1,3})")
_LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def new_run(name: str, count: int, now: float) -> Document:
    """What one attempt is launched with, drawn once and stored before anything starts, so that a launch can be
    repeated. It is the document's `_run`."""
    base = launches.new_instance_id(name)
    return {
        "Instances": [f"{base}-{n}" for n in range(1, count + 1)],
        "Token": launches.new_token(),
        "Epoch": int(now * 1000),
        "Launched": False,
    }


def image_of(images: Images, account: str, job: Document) -> Image:
    """What runs the job, in each of its instances and attempts: what its image meant when it was created. Raises
    ImageNotOffered."""
    asked = job["AlgorithmSpecification"]
    given = job.get("HyperParameters", {}), job.get("Environment", {})
    own, pin = command.is_given(asked), job.get("_pin", "")
    return launches.image(images, account, _uri(asked), *given, command=own, pin=pin)


def _uri(asked: Document) -> str:
    """The image. A base Python without a version is the one that the client of an @remote function has, in which its
    arguments and results are written."""
    uri: str = asked["TrainingImage"]
    told = dict(pairwise(asked.get("ContainerArguments") or ()))
    found = _BASE_PYTHON.fullmatch(uri)
    version = _VERSION.fullmatch(told.get("--client_python_version", "")) if found else None
    return f"{found[1]}-{version[1]}{version[2]}{found[2]}" if found and version else uri


def specs(settings: Settings, record: Record, image: Image) -> list[InstanceSpec]:
    """One for each host, the same every time it is asked."""
    run = record.document["_run"]
    groups = hosts.groups(record.document["ResourceConfig"])
    ids = dict(zip(hosts.names(groups), run["Instances"], strict=True))
    return [_spec(settings, record, image, groups, ids, host) for host in ids]


def _spec(
    settings: Settings,
    record: Record,
    image: Image,
    groups: tuple[HostGroup, ...],
    ids: dict[str, str],
    host: str,
) -> InstanceSpec:
    job, run, name = record.document, record.document["_run"], record.name or ""
    output, resources = job["OutputDataConfig"], job["ResourceConfig"]
    own = next(each for each in groups if host in each.hosts)
    entrypoint, arguments = command.of(job["AlgorithmSpecification"], image)
    return InstanceSpec(
        id=ids[host],
        purpose="training",
        image=image,
        job_name=name,
        job_arn=record.arn,
        account=record.account,
        region=record.region,
        role_arn=job["RoleArn"],
        token=run["Token"],
        link=launches.agent_link(settings),
        log_group=_LOG_GROUP,
        log_stream=f"{name}/{host}-{run['Epoch']}",
        host=host,
        hosts=tuple(sorted(ids)),
        peers=ids,
        groups=groups,
        instance_type=own.instance_type,
        environment=job.get("Environment", {}),
        hyperparameters=job.get("HyperParameters", {}),
        channels=tuple(each for each in _channels(job, groups) if host in each.hosts),
        output=f"{output['S3OutputPath'].rstrip('/')}/{name}/output",
        output_key=output.get("KmsKeyId", ""),
        output_compression=output.get("CompressionType", "GZIP"),
        metrics=tuple(MetricDefinition(each["Name"], each["Regex"]) for each in metrics.of(job)),
        max_runtime=retries.run_time(job),
        stop_grace=settings.stop_grace_seconds,
        memory=instance_types.find(own.instance_type).memory,
        volume=resources.get("VolumeSizeInGB", 0) * instance_types.GIB,
        network_isolation=job["EnableNetworkIsolation"],
        isolation=settings.isolation,
        nice=admission.niceness(admission.Machine.this(), settings.job_slots),
        entrypoint=entrypoint,
        arguments=arguments,
        server=settings.local_url,
        authority=launches.authority(settings),
    )


def _channels(job: Document, groups: tuple[HostGroup, ...]) -> list[Channel]:
    return [_channel(each, job, groups) for each in job.get("InputDataConfig", ())]


def _channel(channel: Document, job: Document, groups: tuple[HostGroup, ...]) -> Channel:
    source = channel["DataSource"]["S3DataSource"]
    chosen = source.get("InstanceGroupNames") or [each.name for each in groups]
    return Channel(
        name=channel["ChannelName"],
        source=source["S3Uri"],
        source_type=source["S3DataType"],
        distribution=source["S3DataDistributionType"],
        content_type=channel.get("ContentType", ""),
        compression=channel["CompressionType"],
        record_wrapper=channel["RecordWrapperType"],
        mode=channel.get("InputMode") or job["AlgorithmSpecification"]["TrainingInputMode"],
        shuffle_seed=channel.get("ShuffleConfig", {}).get("Seed"),
        hosts=hosts.names(each for each in groups if each.name in chosen),
    )
