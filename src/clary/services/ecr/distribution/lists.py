"""What there is: tags of a repository, repositories of a registry, and the registry itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from clary.errors import ServiceError
from clary.registry import listings, repositories
from clary.services.ecr import finding
from clary.services.ecr.distribution.asked import Asked, reply
from clary.wire.messages import Response

_MOST = 1000


def base(_asked: Asked) -> Response:
    """That there is a registry, and that the caller may speak to it."""
    return reply(200, ("Content-Type", "application/json"), body=b"{}")


def tags(asked: Asked) -> Response:
    count, last = _page(asked)
    found = finding.read(
        asked.call,
        lambda connection: listings.names(connection, finding.find(connection, asked.place), last, count + 1),
    )
    return _listed(asked, {"name": asked.name, "tags": found[:count]}, found, count, asked.path("tags/list"))


def catalog(asked: Asked) -> Response:
    count, last = _page(asked)
    account, region, _ = asked.place
    found = finding.read(asked.call, lambda connection: repositories.page(connection, account, region, last, count + 1))
    names = [each.name for each in found]
    return _listed(asked, {"repositories": names[:count]}, names, count, "/v2/_catalog")


def _page(asked: Asked) -> tuple[int, str]:
    """(how many, after which)."""
    given = asked.query.get("n", str(_MOST))
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise ServiceError("PAGINATION_NUMBER_INVALID", "n is not a number", 400)
    return min(int(given), _MOST), asked.query.get("last", "").partition("\0")[0]


def _listed(asked: Asked, document: dict[str, object], found: Sequence[str], count: int, path: str) -> Response:
    headers = [("Content-Type", "application/json")]
    if 0 < count < len(found):
        headers.append(("Link", f'<{path}?n={count}&last={quote(found[count - 1], safe="")}>; rel="next"'))
    return reply(200, *headers, body=json.dumps(document).encode())
