"""Which images of accounts what exists needs: jobs that are not over, endpoints that have or want instances."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.services.operation import Document
from clary.services.sagemaker.endpoint.declaration import ENDPOINT, RECONCILED
from clary.services.sagemaker.training_job.declaration import ACTIVE, TRAINING_JOB
from clary.serving.membership import Fleet
from clary.store.schema import records as table

_AT_ONCE = 500  # documents


def needed(connection: Connection) -> set[str]:
    """The pins (`Image.pin`) of every account's and region's."""
    jobs = {document.get("_pin", "") for document in _documents(connection, TRAINING_JOB.kind, ACTIVE)}
    endpoints = _documents(connection, ENDPOINT.kind, RECONCILED)
    return jobs.union(*(_of_fleet(Fleet.load(document["_fleet"])) for document in endpoints)) - {""}


def _of_fleet(fleet: Fleet) -> set[str]:
    targets = [each for each in (fleet.target, fleet.serving) if each is not None]
    return {image["Pin"] for target in targets for image in target.images.values()}


def _documents(connection: Connection, kind: str, statuses: tuple[str, ...]) -> Iterator[Document]:
    query = sa.select(table.c.document).where(table.c.kind == kind, table.c.status.in_(statuses))
    yield from connection.execution_options(yield_per=_AT_ONCE).execute(query).scalars()
