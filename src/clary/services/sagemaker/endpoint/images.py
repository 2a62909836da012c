"""The images of an endpoint: looked up before the first instance of a variant, so that all later ones run the same."""

from __future__ import annotations

from clary.context import Platform
from clary.contract.instance import Image
from clary.services.operation import Document
from clary.services.sagemaker import launches, pulls
from clary.services.sagemaker.endpoint.launch import model_of
from clary.services.sagemaker.model import container
from clary.serving.membership import Fleet, Member, Target


def resolved(platform: Platform, account: str, fleet: Fleet) -> Fleet:
    """With what the images mean that are wanted for the first time: from then on tags may move. Raises ServiceError."""
    found = {each.generation: dict(each.images) for each in (fleet.serving, fleet.target) if each is not None}
    for variant, generation in fleet.missing():
        if variant not in found[generation]:
            found[generation][variant] = _look_up(platform, account, fleet.goal(generation), variant)
    return fleet.with_images(found)


def of_member(platform: Platform, account: str, fleet: Fleet, member: Member) -> Image:
    """Raises ServiceError where it is no more, or the model's role may not have it."""
    goal = fleet.goal(member.generation)
    image = _image(platform, account, goal, member.variant)
    pulls.check_hosting(platform, image, model_of(goal, member.variant)["ExecutionRoleArn"])
    return image


def _look_up(platform: Platform, account: str, target: Target, variant: str) -> Document:
    """As `Target.images` has it."""
    image, now = _image(platform, account, target, variant), platform.clock.now()
    return {"Pin": image.pin, "ResolvedImage": launches.resolved_name(image), "ResolutionTime": now}


def _image(platform: Platform, account: str, target: Target, variant: str) -> Image:
    serves = container(model_of(target, variant))
    pin = target.images.get(variant, {}).get("Pin", "")
    return launches.image(platform.images, account, serves["Image"], serves.get("Environment", {}), pin=pin)
