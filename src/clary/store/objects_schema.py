"""The object index: buckets, objects, multipart uploads. Keys are bytes: every database orders them bytewise."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from clary.store.schema import NUMBER, OBJECTS

_MAYBE = sa.JSON(none_as_null=True)  # most rows have none

# `versioning` is "", "Enabled" or "Suspended". `settings` says what else is set: the names of the bucket's rows in
# `bucket_settings`, each with a number that is new for every new value; NULL for a bucket that sets nothing.
buckets = sa.Table(
    "buckets",
    OBJECTS,
    sa.Column("name", sa.String, primary_key=True),  # one name space for all accounts, as in S3
    sa.Column("account", sa.String, nullable=False, index=True),
    sa.Column("region", sa.String, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("versioning", sa.String, nullable=False, server_default=""),
    sa.Column("settings", _MAYBE),
)

# What a bucket is set to, by name ("Cors", "Lifecycle", ...): the configuration as its operation was given it.
bucket_settings = sa.Table(
    "bucket_settings",
    OBJECTS,
    sa.Column("bucket", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)


# The current object of each key: one row a key. What versioning keeps besides is in `versions`.
# An object's bytes are one blob (`blob`), or the parts of the multipart upload that made it (`upload`), in order, or
# (few bytes) a row of `contents` (`content`); an empty object has none of the three.
# `headers` are the system headers by member name (ContentType, CacheControl, ...), `checksum` is {algorithm, value,
# type} or {}. `version` is "null" for what was put into a bucket that is not versioned. `acl` is {Owner, Grants}, NULL
# where the bucket's owner alone has rights; `lock` is {Mode, RetainUntil, LegalHold} or some of these, NULL without;
# `encryption` is what `services.s3.data_keys` says of it, NULL for bytes that are kept as they are; `restored` is until
# when an archived object can be read, in epoch seconds.
def _of_object() -> tuple[sa.Column[Any], ...]:
    """What is known of an object, or of a version of one, besides what tells it from others."""
    return (
        sa.Column("blob", sa.String, nullable=False, server_default="", index=True),
        sa.Column("upload", sa.String, nullable=False, server_default=""),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("etag", sa.String, nullable=False),
        sa.Column("modified", sa.Float, nullable=False),
        sa.Column("storage_class", sa.String, nullable=False),
        sa.Column("checksum", sa.JSON, nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("content", NUMBER),
        sa.Column("acl", _MAYBE),
        sa.Column("lock", _MAYBE),
        sa.Column("encryption", _MAYBE),
        sa.Column("restored", sa.Float),
    )


objects = sa.Table(
    "objects",
    OBJECTS,
    sa.Column("bucket", sa.String, primary_key=True),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("version", sa.String, primary_key=True, server_default="null"),
    *_of_object(),
)


def _restored(table: sa.Table) -> None:
    there = table.c.restored.is_not(None)
    sa.Index(f"{table.name}_by_restored", table.c.restored, sqlite_where=there)


_restored(objects)

# Noncurrent versions, and delete markers (current or not: a key whose newest is a marker has no row in `objects`).
# `place` orders the versions of a key, the newest first: it counts down. The other columns are those of `objects`.
versions = sa.Table(
    "versions",
    OBJECTS,
    sa.Column("bucket", sa.String, primary_key=True),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("marker", sa.Boolean, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    *_of_object(),
    sa.UniqueConstraint("bucket", "key", "version", name="versions_by_id"),
)

_restored(versions)

# The bytes of small objects: entered and removed in the transaction of their row in `objects`, so that one commit makes
# them durable. A table of their own, because a listing reads every row of `objects` that it shows.
contents = sa.Table(
    "contents",
    OBJECTS,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

uploads = sa.Table(
    "uploads",
    OBJECTS,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("bucket", sa.String, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("initiator", sa.String, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("storage_class", sa.String, nullable=False),
    sa.Column("checksum", sa.JSON, nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("acl", _MAYBE),
    sa.Column("lock", _MAYBE),
    sa.Column("encryption", _MAYBE),
    sa.Index("uploads_by_key", "bucket", "key", "id"),
)

# Parts outlive their upload: once it is complete they are the object's bytes, `at` is where each begins in them.
parts = sa.Table(
    "parts",
    OBJECTS,
    sa.Column("upload", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("blob", sa.String, nullable=False, index=True),
    sa.Column("at", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("etag", sa.String, nullable=False),
    sa.Column("modified", sa.Float, nullable=False),
    sa.Column("checksum", sa.JSON, nullable=False),
)

# Names of blobs that are lent to agents, which write them past the server (`services.s3.lending`), and for what: an
# object, or a part of an upload. `answer` is NULL until the blob is entered, then what the answer said of it besides.
loans = sa.Table(
    "loans",
    OBJECTS,
    sa.Column("blob", sa.String, primary_key=True),
    sa.Column("bucket", sa.String, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("upload", sa.String, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("md5", sa.String, nullable=False),
    sa.Column("made", sa.Float, nullable=False, index=True),
    sa.Column("answer", _MAYBE),
)

# Block Public Access of accounts: its four settings.
account_blocks = sa.Table(
    "account_blocks",
    OBJECTS,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)

# Events that are to be told: for each rule of a bucket's notifications that one is about, what is told (all but its
# number) under which message identifier. Numbers only grow: they say the order of events.
events = sa.Table(
    "events",
    OBJECTS,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("bucket", sa.String, nullable=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("topic", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

# Keys of the index's own, made at first use: what signs continuation tokens.
secrets = sa.Table(
    "secrets",
    OBJECTS,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
