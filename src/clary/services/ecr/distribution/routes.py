"""Which handler a path of the registry means, and by which of ECR's operations it is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from clary.errors import ServiceError
from clary.registry.names import Place, place
from clary.services.ecr.distribution import blobs, errors, lists, manifests
from clary.services.ecr.distribution.asked import Asked
from clary.wire import body_form
from clary.wire.messages import Request, Response
from clary.wire.scalars import Malformed

_NAMED = re.compile(
    r"/v2/(?P<name>.+)/(?P<what>manifests|blobs|blobs/uploads|referrers|tags)/(?P<reference>[^/]*)", re.DOTALL
)
_ANYBODY = ""  # whoever has a token
Handle = Callable[[Asked], Response]

_OPERATIONS: Mapping[tuple[str, str], tuple[str, Handle]] = {
    ("GET", "manifests"): ("BatchGetImage", manifests.read),
    ("HEAD", "manifests"): ("BatchGetImage", manifests.read),
    ("PUT", "manifests"): ("PutImage", manifests.write),
    ("DELETE", "manifests"): ("BatchDeleteImage", manifests.delete),
    ("GET", "blobs"): ("GetDownloadUrlForLayer", blobs.read),
    ("HEAD", "blobs"): ("BatchCheckLayerAvailability", blobs.look),
    ("DELETE", "blobs"): ("BatchDeleteImage", blobs.refuse_delete),
    ("POST", "blobs/uploads"): ("InitiateLayerUpload", blobs.begin),
    ("GET", "blobs/uploads"): ("UploadLayerPart", blobs.state),
    ("PATCH", "blobs/uploads"): ("UploadLayerPart", blobs.append),
    ("PUT", "blobs/uploads"): ("CompleteLayerUpload", blobs.complete),
    ("DELETE", "blobs/uploads"): ("UploadLayerPart", blobs.cancel),
    ("GET", "referrers"): ("ListImageReferrers", manifests.referrers),
    ("GET", "tags"): ("ListImages", lists.tags),
}
_BODILESS = frozenset({"GET", "HEAD"})


class Route(NamedTuple):
    """`operation` is "" for what whoever has a token may ask. `place` of what is about no repository has the name of
    none."""

    operation: str
    handle: Handle
    place: Place
    name: str
    reference: str
    query: Mapping[str, str]


def find(request: Request, account: str, region: str) -> Route:
    """`account` and `region` are those of the registry whose host is asked. Raises ServiceError."""
    path, query = unquote(request.path), _query(request)
    for end, operation, handle in (
        ("/v2", _ANYBODY, lists.base),
        ("/v2/_catalog", "DescribeRepositories", lists.catalog),
    ):
        if path.rstrip("/") == end and request.method in _BODILESS:
            return Route(operation, handle, Place(account, region, ""), "", "", query)
    match = _NAMED.fullmatch(path)
    found = None if match is None else _OPERATIONS.get((request.method, _what(match)))
    if match is None or found is None:
        raise errors.unsupported(f"{request.method} means nothing here")
    where = place(match["name"], account, region)
    if where is None:
        raise ServiceError("NAME_INVALID", "The name is none of a repository", 400)
    return Route(*found, where, match["name"], match["reference"], query)


def _what(match: re.Match[str]) -> str:
    what, reference = match["what"], match["reference"]
    if what == "tags" and reference != "list":
        return ""
    return what


def _query(request: Request) -> Mapping[str, str]:
    """Raises UNSUPPORTED (400) for what is no UTF-8."""
    found: dict[str, str] = {}
    try:
        for name, value in body_form.pairs(request.query) if request.query else ():
            found.setdefault(name, value)
    except Malformed as error:
        raise ServiceError("UNSUPPORTED", f"The query cannot be read: {error}", 400) from None
    return found
