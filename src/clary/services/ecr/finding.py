"""What the requests of ECR name: registries and the repositories in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from clary.registry import images, repositories
from clary.registry.bytes_at_rest import Bytes
from clary.registry.images import Image
from clary.registry.names import HOST, Place, host_name
from clary.registry.repositories import Repository
from clary.registry.uploads import Uploads
from clary.services.ecr import faults
from clary.services.operation import Call, Document
from clary.services.s3.damage import Notices

T = TypeVar("T")

_ARN = re.compile(r"arn:aws:ecr:([a-z0-9-]+):([0-9]{12}):repository/([a-z0-9._/-]+|\*)")
_USUAL_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")


def registry_id(call: Call, given: Document) -> str:
    """The account whose registry a request is about."""
    return str(given.get("registryId") or call.account)


def place(call: Call, given: Document) -> Place:
    return Place(registry_id(call, given), call.region, given["repositoryName"])


def find(connection: Connection, wanted: Place) -> Repository:
    """Raises RepositoryNotFoundException."""
    found = repositories.find(connection, wanted)
    if found is None:
        raise faults.no_repository(wanted)
    return found


def identity(given: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(digest, tag) that a request names. Raises InvalidParameterException without either."""
    digest, tag = given.get("imageDigest"), given.get("imageTag")
    if not digest and not tag:
        raise faults.invalid("imageId", "both tag and digest cannot be null")
    return digest, tag


def image(connection: Connection, wanted: Place, digest: str | None, tag: str | None) -> Image:
    """Raises RepositoryNotFoundException, ImageNotFoundException."""
    repository = find(connection, wanted)
    found = images.find(connection, repository, digest or tag or "")
    if found is None or (tag and images.tagged(connection, repository, tag) != found.digest):
        raise faults.no_image(wanted, digest, tag)
    return found


def by_arn(text: str) -> Place | None:
    """The repository that an ARN names; of an ARN of all that a registry has its name is "*"."""
    found = _ARN.fullmatch(text)
    return None if found is None else Place(found[2], found[1], found[3])


def of_arn(call: Call, given: Document) -> Place:
    """Raises InvalidParameterException."""
    found = by_arn(given["resourceArn"])
    if found is None or found.region != call.region or found.repository == "*":
        raise faults.invalid("resourceArn", "Invalid ARN")
    return found


def read(call: Call, work: Callable[[Connection], T]) -> T:
    """In the database where repositories are."""
    return call.platform.stores.objects.read(work)


def write(call: Call, work: Callable[[Connection], T]) -> T:
    return call.platform.stores.objects.write(work)


def kept(call: Call) -> Bytes:
    return Bytes(call.platform.objects, call.platform.secrets)


def uploads(call: Call) -> Uploads:
    return Uploads(call.platform.stores.objects, kept(call), call.platform.clock)


def damages(call: Call) -> Notices:
    """Who is told of layers and manifests that are not what was pushed."""
    return Notices(call.platform.settings, call.platform.stores.objects, call.platform.clock)


def host(call: Call, account: str) -> str:
    """The host behind which the caller reaches the registry of `account`: the one that he asks here, which serves it
    too. Who asks by one of AWS's names is told AWS's."""
    asked = call.request.headers.get("host") or ""
    name, colon, _ = asked.rpartition(":") if not asked.endswith("]") else (asked, "", "")
    if not _USUAL_HOST.fullmatch(asked) or call.request.host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return host_name(account, call.region)
    if not colon and "." not in asked and asked != "localhost" and not name.startswith("["):
        return f"{asked}:{443 if call.request.scheme == 'https' else 80}"  # else clients would take it for a name
    return asked


def endpoint(call: Call, account: str) -> str:
    """`host` with the scheme by which it is reached."""
    where = host(call, account)
    return f"{'https' if HOST.fullmatch(where) else call.request.scheme}://{where}"


def uri(call: Call, repository: Repository) -> str:
    """What an engine pushes to and pulls from. Behind a host that is not AWS's the account is the caller's; another's
    is named in the path."""
    where = host(call, repository.account)
    if repository.account != call.account and not HOST.fullmatch(where):
        where = f"{where}/{host_name(repository.account, repository.region)}"
    return f"{where}/{repository.name}"
