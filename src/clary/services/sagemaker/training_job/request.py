"""CreateTrainingJob's request: checked, and completed to what Describe will show."""

from __future__ import annotations

from clary.algorithms import registry
from clary.contract.instance import Image
from clary.errors import option_not_built, validation
from clary.images.base import Images
from clary.services.operation import Document
from clary.services.refusals import refuse
from clary.services.sagemaker import checks
from clary.services.sagemaker.training_job import hosts, launch, metrics
from clary.services.sagemaker.training_job.declaration import (
    DEFAULT_CHANNEL,
    DEFAULT_MAX_RUNTIME,
    DEFAULTS,
    LONGEST_RUNTIME,
    NOT_BUILT,
)

_OPERATION = "CreateTrainingJob"


def completed(given: Document, images: Images, account: str) -> Document:
    """The request with its defaults, as it is stored. Raises ValidationException for what cannot run; whether the
    hyperparameters suit the algorithm is found out inside the job, which then fails with the reason, as in AWS."""
    refuse(_OPERATION, given, NOT_BUILT)
    image = _image(given, images, account)
    checks.environment(given.get("Environment"))
    checks.s3_uri(given["OutputDataConfig"]["S3OutputPath"], "outputDataConfig.s3OutputPath")
    shown = {member: value for member, value in given.items() if member != "SessionChainingConfig"}
    return {
        **DEFAULTS,
        **shown,
        "AlgorithmSpecification": {
            "EnableSageMakerMetricsTimeSeries": False,
            **given["AlgorithmSpecification"],
            **metrics.stored(given["AlgorithmSpecification"], image),
        },
        "OutputDataConfig": {
            "KmsKeyId": "",
            **given["OutputDataConfig"],
        },  # AWS shows it always; SDK v2's attach needs it
        "ResourceConfig": _resources(given, image),
        "StoppingCondition": _stopping(given),
        **_channels(given),
    }


def _image(given: Document, images: Images, account: str) -> Image:
    if not given["AlgorithmSpecification"].get("TrainingImage"):
        raise validation("Either TrainingImage or AlgorithmName must be given in AlgorithmSpecification.")
    return launch.image_of(images, account, given)


def _several(image: Image) -> bool:
    """Whether a job of it may have more than one instance."""
    return image.kind != "builtin" or registry.spec(image.algorithm).many_instances


def _resources(given: Document, image: Image) -> Document:
    config: Document = given.get("ResourceConfig") or {}
    if config.get("VolumeKmsKeyId"):
        raise checks.no_volume_key(_OPERATION, "ResourceConfig.VolumeKmsKeyId")
    config = hosts.completed(config)
    if hosts.count(config) > 1 and not _several(image):
        raise option_not_built(_OPERATION, f"ResourceConfig.InstanceCount above 1 for {image.algorithm}")
    return config


def _stopping(given: Document) -> Document:
    condition: Document = {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME, **(given.get("StoppingCondition") or {})}
    runtime, wait = condition["MaxRuntimeInSeconds"], condition.get("MaxWaitTimeInSeconds")
    if runtime > LONGEST_RUNTIME:
        raise validation(f"MaxRuntimeInSeconds must be at most {LONGEST_RUNTIME} (28 days), not {runtime}.")
    if wait is not None and wait < runtime:
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    return condition


def _channels(given: Document) -> Document:
    channels = [_channel(each, given) for each in given.get("InputDataConfig") or ()]
    hosts.check_channels(channels, given["ResourceConfig"])
    names = [each["ChannelName"] for each in channels]
    if len(set(names)) != len(names):
        raise validation("Channel names must be unique within InputDataConfig.")
    return {"InputDataConfig": channels} if channels else {}


def _channel(channel: Document, given: Document) -> Document:
    name = channel["ChannelName"]
    if name in (".", ".."):  # the model's pattern admits them, and a channel is a folder of that name
        raise validation(f"ChannelName {name!r} cannot be a folder's name. Please choose another.")
    source: Document | None = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise validation(f"Channel {name} has no S3DataSource.")
    mode = channel.get("InputMode") or given["AlgorithmSpecification"]["TrainingInputMode"]
    if mode == "Pipe":
        raise option_not_built(_OPERATION, "TrainingInputMode Pipe")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise option_not_built(_OPERATION, f"S3DataType {source['S3DataType']}")
    for member in ("CompressionType", "RecordWrapperType"):
        if channel.get(member, "None") != "None":
            raise validation(f"{member} of channel {name} can only be set when the input mode is Pipe.")
    if mode == "FastFile" and source["S3DataType"] != "S3Prefix":
        raise validation(f"Channel {name}: FastFile mode supports S3Prefix only.")
    checks.s3_uri(source["S3Uri"], f"inputDataConfig.{name}.s3Uri")
    full = {"S3DataDistributionType": "FullyReplicated", **source}
    return {**DEFAULT_CHANNEL, **channel, "DataSource": {"S3DataSource": full}}
