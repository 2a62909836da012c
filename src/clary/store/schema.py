"""The tables. One `records` table serves all resources; other tables exist only for other access patterns."""

from __future__ import annotations

import sqlalchemy as sa

RECORDS = sa.MetaData(info={"component": "records"})
OBJECTS = sa.MetaData(info={"component": "objects"})
LOGS = sa.MetaData(info={"component": "logs"})

# Text that compares by code point in both databases, so that listings come in the same order and seek the same way.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows only in INTEGER columns

# A resource: its stored document is the AWS-shaped PascalCase dict, as JSON. `sort` columns exist for the listings.
records = sa.Table(
    "records",
    RECORDS,
    sa.Column("arn", TEXT, primary_key=True),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("account", TEXT, nullable=False),
    sa.Column("region", TEXT, nullable=False),
    sa.Column("name", TEXT),
    sa.Column("parent", TEXT),
    sa.Column("status", TEXT, nullable=False, server_default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("modified", sa.Float, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("queue", TEXT, nullable=False, server_default=""),
    sa.Column("until", sa.Float),
    sa.Column("summary", sa.Text, nullable=False, server_default=""),  # before the document: it is read alone
    sa.Column("document", sa.JSON, nullable=False),
    sa.UniqueConstraint("account", "region", "kind", "name", name="records_by_name"),
    # One for each order of a listing; what follows the ARN is there to be filtered by (listings.py).
    sa.Index("records_by_created", "account", "region", "kind", "created", "arn", "name", "modified"),
    sa.Index("records_by_modified", "account", "region", "kind", "modified", "arn", "name", "created"),
    sa.Index("records_by_status", "account", "region", "kind", "status", "created", "arn", "name", "modified"),
    sa.Index("records_by_kind", "kind", "status", "queue", "created", "arn"),
    sa.Index("records_by_parent", "parent", "kind"),
)
_LIFETIME = records.c.modified - records.c.created
sa.Index("records_by_lifetime", records.c.account, records.c.region, records.c.kind, _LIFETIME)
_WANTED = records.c.until.is_not(None)
sa.Index("records_by_until", records.c.kind, records.c.until, sqlite_where=_WANTED)

tags = sa.Table(
    "tags",
    RECORDS,
    sa.Column("arn", TEXT, primary_key=True),
    sa.Column("key", TEXT, primary_key=True),
    sa.Column("value", TEXT, nullable=False),
)

# What agents reported of their instances; `spec` and `exit_record` are JSON texts of
# clary.contract.instance; `phases` is a list of its Phase as dicts.
instances = sa.Table(
    "instances",
    RECORDS,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("owner", TEXT, nullable=False, index=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("phases", sa.JSON, nullable=False),
    sa.Column("address", TEXT, nullable=False, server_default=""),
    sa.Column("healthy", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("stop_asked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("exit_record", sa.Text),
    sa.Column("created", sa.Float, nullable=False),
)

# What SNS has accepted and not sent yet: messages as services.sns.messages has them, and for each subscription (its
# ARN) that is to get one when it is due, how often it failed, whose topic it is, and at which host its endpoint: each
# of these has a share of what is sent at once.
sns_messages = sa.Table(
    "sns_messages",
    RECORDS,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("content", sa.JSON, nullable=False),
)
sns_deliveries = sa.Table(
    "sns_deliveries",
    RECORDS,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("message", TEXT, nullable=False, index=True),
    sa.Column("subscription", TEXT, nullable=False, index=True),
    sa.Column("owner", TEXT, nullable=False, server_default=""),
    sa.Column("host", TEXT, nullable=False, server_default=""),
    sa.Column("due", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Index("sns_deliveries_by_due", "due", "id", "subscription", "owner", "host"),
    sqlite_autoincrement=True,  # who sends one may end after it was dropped: its number must not be another's then
)

log_groups = sa.Table(
    "log_groups",
    LOGS,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("account", TEXT, nullable=False),
    sa.Column("region", TEXT, nullable=False),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),  # times in the log tables are epoch milliseconds
    sa.Column("retention_days", sa.Integer),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.UniqueConstraint("account", "region", "name", name="log_groups_by_name"),
)

# `position` is where the next batch of an agent's source begins, `next_sequence` numbers the events within a stream.
log_streams = sa.Table(
    "log_streams",
    LOGS,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("group_id", NUMBER, sa.ForeignKey("log_groups.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("first_event", sa.BigInteger),
    sa.Column("last_event", sa.BigInteger),
    sa.Column("last_ingestion", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("next_sequence", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("group_id", "name", name="log_streams_by_name"),
    sa.Index("log_streams_by_last_event", "group_id", "last_event", "name"),
)

# Stored in the order of GetLogEvents; the index serves FilterLogEvents. A message is UTF-8, as bytes: PostgreSQL's text
# has no NUL, printed lines may.
log_events = sa.Table(
    "log_events",
    LOGS,
    sa.Column("stream_id", NUMBER, sa.ForeignKey("log_streams.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("timestamp", sa.BigInteger, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("group_id", NUMBER, nullable=False),
    sa.Column("ingested", sa.BigInteger, nullable=False),
    sa.Column("message", sa.LargeBinary, nullable=False),
    sa.Index("log_events_by_group", "group_id", "timestamp", "stream_id", "sequence"),
    sqlite_with_rowid=False,
)
