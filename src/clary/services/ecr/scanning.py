"""The scanning of images for vulnerabilities, of which there is none: a database of them would have to come from
elsewhere, and be new every day. What is set is told as it is; what has to be scanned for is refused."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.registry import repositories
from clary.registry.names import Place
from clary.registry.repositories import Repository
from clary.services.ecr import faults, finding
from clary.services.operation import Call, Document, Operations

operations = Operations()

WHY = "Images are not scanned: there is no database of vulnerabilities on this machine to hold them to."
_CONFIGURATION = "imageScanningConfiguration"
operations.leaves_out(WHY, "StartImageScan")

OFF = {_CONFIGURATION: {"scanOnPush": False}}


def is_asked_for(given: Document) -> bool:
    """Whether a request wants images to be scanned that are pushed."""
    return bool((given.get(_CONFIGURATION) or {}).get("scanOnPush"))


@operations.handles("PutImageScanningConfiguration")
def put_image_scanning_configuration(call: Call, given: Document) -> Document:
    """Only what every repository has."""
    place = finding.place(call, given)
    found = finding.read(call, lambda connection: finding.find(connection, place))
    if is_asked_for(given):
        raise faults.not_built(call.operation, "imageScanningConfiguration.scanOnPush", why=WHY)
    return {"registryId": found.account, "repositoryName": found.name, **OFF}


@operations.handles("BatchGetRepositoryScanningConfiguration")
def batch_get_repository_scanning_configuration(call: Call, given: Document) -> Document:
    names = list(dict.fromkeys(given["repositoryNames"]))

    def look(connection: Connection) -> dict[str, Repository | None]:
        return {name: repositories.find(connection, Place(call.account, call.region, name)) for name in names}

    found = finding.read(call, look)
    missing = {"failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "REPOSITORY_NOT_FOUND"}
    return {
        "scanningConfigurations": [_manual(each) for each in found.values() if each is not None],
        "failures": [{"repositoryName": name, **missing} for name, each in found.items() if each is None],
    }


def _manual(repository: Repository) -> Document:
    named = {"repositoryArn": repository.arn, "repositoryName": repository.name}
    return {**named, "scanOnPush": False, "scanFrequency": "MANUAL", "appliedScanFilters": []}


@operations.handles("GetRegistryScanningConfiguration")
def get_registry_scanning_configuration(call: Call, given: Document) -> Document:
    return {"registryId": call.account, "scanningConfiguration": {"scanType": "BASIC", "rules": []}}


@operations.handles("PutRegistryScanningConfiguration")
def put_registry_scanning_configuration(call: Call, given: Document) -> Document:
    """Only what every registry has."""
    kind = given.get("scanType") or "BASIC"
    if kind != "BASIC":
        raise faults.not_built(call.operation, f"scanType {kind}", why=WHY)
    if given.get("rules"):
        raise faults.not_built(call.operation, "rules", why=WHY)
    return {"registryScanningConfiguration": {"scanType": "BASIC", "rules": []}}


@operations.handles("DescribeImageScanFindings")
def describe_image_scan_findings(call: Call, given: Document) -> Document:
    """Of no image there are any."""
    place, identity = finding.place(call, given), finding.identity(given["imageId"])
    finding.read(call, lambda connection: finding.image(connection, place, *identity))
    message = (
        f"Image scan does not exist for the image with '{faults.identity(*identity)}' in the repository with name "
        f"'{place.repository}' in the registry with id '{place.account}'"
    )
    raise ServiceError("ScanNotFoundException", message)
