"""Records, version 5 to 6: what is still to be sent by SNS says whose topic it is, and at which host its endpoint."""

from __future__ import annotations

from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_RECORDS = sa.table("records", sa.column("arn", sa.String), sa.column("document", sa.JSON))
_DELIVERIES = sa.table("sns_deliveries", *(sa.column(name, sa.String) for name in ("subscription", "owner", "host")))


def add(connection: Connection) -> None:
    if not sa.inspect(connection).has_table("sns_deliveries"):
        return  # made as it is now, after this
    for statement in (
        "ALTER TABLE sns_deliveries ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sns_deliveries ADD COLUMN host TEXT NOT NULL DEFAULT ''",
        "DROP INDEX IF EXISTS sns_deliveries_by_due",
        "CREATE INDEX sns_deliveries_by_due ON sns_deliveries (due, id, subscription, owner, host)",
    ):
        connection.exec_driver_sql(statement)
    for (arn,) in connection.execute(sa.select(_DELIVERIES.c.subscription).distinct()).all():
        document = connection.scalar(sa.select(_RECORDS.c.document).where(_RECORDS.c.arn == arn))
        if document is not None:
            mail = document["Protocol"].startswith("email")
            host = "mail" if mail else urlsplit(document["Endpoint"]).netloc.rpartition("@")[2].lower()
            its = _DELIVERIES.update().where(_DELIVERIES.c.subscription == arn)
            connection.execute(its.values(owner=arn.split(":")[4], host=host))
