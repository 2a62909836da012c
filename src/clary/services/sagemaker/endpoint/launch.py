"""From an endpoint's fleet to the instances that serve it."""

from __future__ import annotations

from clary.config import Settings
from clary.contract.instance import Image, InstanceSpec
from clary.scheduler import instance_types
from clary.services.operation import Document
from clary.services.sagemaker import launches
from clary.services.sagemaker.model import container
from clary.serving.membership import Fleet, Member, Target
from clary.store.records import Record

_STOP_GRACE = 30.0  # what AWS gives a model server between SIGTERM and SIGKILL


def new_member(record: Record, variant: str, generation: int) -> Member:
    return Member(launches.new_instance_id(record.name or ""), variant, generation, launches.new_token())


def model_of(target: Target, variant: str) -> Document:
    return target.models[target.variant(variant)["ModelName"]]


def spec(settings: Settings, record: Record, fleet: Fleet, member: Member, image: Image) -> InstanceSpec:
    """The same every time it is asked."""
    target, name = fleet.goal(member.generation), record.name or ""
    variant, model = target.variant(member.variant), model_of(target, member.variant)
    serves = container(model)
    return InstanceSpec(
        id=member.id,
        purpose="serving",
        image=image,
        job_name=name,
        job_arn=record.arn,
        account=record.account,
        region=record.region,
        role_arn=model["ExecutionRoleArn"],
        token=member.token,
        link=launches.agent_link(settings),
        log_group=f"/aws/sagemaker/Endpoints/{name}",
        log_stream=f"{member.variant}/{member.id}",
        instance_type=variant["InstanceType"],
        environment=serves.get("Environment", {}),
        model_data=serves.get("ModelDataUrl", ""),
        max_runtime=0.0,
        stop_grace=min(_STOP_GRACE, settings.stop_grace_seconds),
        startup_timeout=float(
            variant.get("ContainerStartupHealthCheckTimeoutInSeconds", settings.startup_timeout_seconds)
        ),
        memory=instance_types.find(variant["InstanceType"]).memory,
        network_isolation=model["EnableNetworkIsolation"],
        isolation=settings.isolation,
        server=settings.local_url,
        authority=launches.authority(settings),
    )
