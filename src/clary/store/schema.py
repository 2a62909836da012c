"""The tables. One `records` table serves all resources; other tables exist only for other access patterns."""

from __future__ import annotations

import sqlalchemy as sa

RECORDS = sa.MetaData()
OBJECTS = sa.MetaData()
LOGS = sa.MetaData()

# A resource: its stored document is the AWS-shaped PascalCase dict, as JSON. `sort` columns exist for the listings.
records = sa.Table(
    "records",
    RECORDS,
    sa.Column("arn", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("region", sa.String, nullable=False),
    sa.Column("name", sa.String),
    sa.Column("parent", sa.String),
    sa.Column("status", sa.String, nullable=False, server_default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("modified", sa.Float, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.UniqueConstraint("account", "region", "kind", "name", name="records_by_name"),
    sa.Index("records_by_created", "account", "region", "kind", "created", "arn"),
    sa.Index("records_by_modified", "account", "region", "kind", "modified", "arn"),
    sa.Index("records_by_status", "kind", "status"),
    sa.Index("records_by_parent", "parent", "kind"),
)

tags = sa.Table(
    "tags",
    RECORDS,
    sa.Column("arn", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)

# What agents reported of their instances; `spec` and `exit_record` are JSON texts of
# clary.contract.instance; `phases` is a list of its Phase as dicts.
instances = sa.Table(
    "instances",
    RECORDS,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False, index=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("phases", sa.JSON, nullable=False),
    sa.Column("address", sa.String, nullable=False, server_default=""),
    sa.Column("healthy", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("stop_asked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("exit_record", sa.Text),
    sa.Column("created", sa.Float, nullable=False),
)
