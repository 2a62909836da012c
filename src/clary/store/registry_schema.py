"""The registry's tables, beside the object index: their layers are blobs of the same store. A row of another table
names its repository by the number of that one's row, which no later repository ever has again."""

from __future__ import annotations

import sqlalchemy as sa

from clary.store import objects_schema
from clary.store.schema import NUMBER, TEXT

# The component's, the object index's own and these: for whoever needs all of them.
OBJECTS = objects_schema.objects.metadata

# `settings` is what the repository is set to, as ECR's operations were given it; `encrypted` whether its layers are;
# `policy` as it is stored (clary.services.iam.principals), NULL without, likewise `lifecycle`; `evaluated` is when that
# was last carried out, `preview` the policy that was last asked about without being set.
repositories = sa.Table(
    "registry_repositories",
    OBJECTS,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("account", TEXT, nullable=False),
    sa.Column("region", TEXT, nullable=False),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("encrypted", sa.Boolean, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("policy", sa.Text),
    sa.Column("lifecycle", sa.Text),
    sa.Column("evaluated", sa.Float),
    sa.Column("preview", sa.Text),
    sa.UniqueConstraint("account", "region", "name", name="registry_repositories_by_name"),
    sqlite_autoincrement=True,
)

# What an account's registry in a region is set to, where that is other than at first: `settings` are account settings
# by name, `policy` as it is stored (clary.services.iam.principals), `replication` the rules as ECR was given them.
registries = sa.Table(
    "registry_registries",
    OBJECTS,
    sa.Column("account", TEXT, primary_key=True),
    sa.Column("region", TEXT, primary_key=True),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("policy", sa.Text),
    sa.Column("replication", sa.JSON, nullable=False),
)

# What repositories become that are made by the registry itself: `document` as ECR was given it, the policy in it as it
# is stored.
templates = sa.Table(
    "registry_templates",
    OBJECTS,
    sa.Column("account", TEXT, primary_key=True),
    sa.Column("region", TEXT, primary_key=True),
    sa.Column("prefix", TEXT, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
)

# A manifest or an index of them, as its bytes came: its digest is theirs. `size` are the bytes of all that it names
# (of an index, of the largest image in it); `subject` is the digest of what it refers to, "" without; `pulled` is when
# it was last pulled, as of the hour.
images = sa.Table(
    "registry_images",
    OBJECTS,
    sa.Column("repository", NUMBER, primary_key=True),
    sa.Column("digest", TEXT, primary_key=True),
    sa.Column("media_type", TEXT, nullable=False),
    sa.Column("manifest", sa.LargeBinary, nullable=False),
    sa.Column("artifact_type", TEXT, nullable=False),
    sa.Column("subject", TEXT, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("pushed", sa.Float, nullable=False),
    sa.Column("pulled", sa.Float),
    sa.Index("registry_images_by_subject", "repository", "subject", "digest"),
)

tags = sa.Table(
    "registry_tags",
    OBJECTS,
    sa.Column("repository", NUMBER, primary_key=True),
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("digest", TEXT, nullable=False),
    sa.Index("registry_tags_by_digest", "repository", "digest", "name"),
)

# Images on their way to other registries (`account` and `region`), and those that have come there, in their order:
# `tag` is the one with which it was pushed, "" without; `failure` a code, "" without.
replications = sa.Table(
    "registry_replications",
    OBJECTS,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("repository", NUMBER, nullable=False),
    sa.Column("digest", TEXT, nullable=False),
    sa.Column("tag", TEXT, nullable=False),
    sa.Column("account", TEXT, nullable=False),
    sa.Column("region", TEXT, nullable=False),
    sa.Column("status", TEXT, nullable=False),
    sa.Column("failure", TEXT, nullable=False),
    sa.Index("registry_replications_by_status", "status", "id"),
    sa.Index("registry_replications_by_image", "repository", "digest", "tag"),
    sqlite_autoincrement=True,
)

# Which layers (configurations among them), or which other images, an image needs.
references = sa.Table(
    "registry_references",
    OBJECTS,
    sa.Column("repository", NUMBER, primary_key=True),
    sa.Column("digest", TEXT, primary_key=True),
    sa.Column("target", TEXT, primary_key=True),
    sa.Index("registry_references_by_target", "repository", "target"),
)

# The bytes of a digest are kept once in an account (encrypted ones apart). `key` is the sealed key of encrypted ones.
blobs = sa.Table(
    "registry_blobs",
    OBJECTS,
    sa.Column("blob", sa.String, primary_key=True),
    sa.Column("account", TEXT, nullable=False),
    sa.Column("digest", TEXT, nullable=False),
    sa.Column("encrypted", sa.Boolean, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.LargeBinary),
    sa.UniqueConstraint("account", "digest", "encrypted", name="registry_blobs_by_digest"),
)

# Which of them a repository has. One that no image needs is let go a day after it was last `touched`.
layers = sa.Table(
    "registry_layers",
    OBJECTS,
    sa.Column("repository", NUMBER, primary_key=True),
    sa.Column("digest", TEXT, primary_key=True),
    sa.Column("blob", sa.String, nullable=False, index=True),
    sa.Column("touched", sa.Float, nullable=False, index=True),
)

# Blobs of layers that were found not to be what was stored. They are asked for again: to push one mends it.
damaged = sa.Table("registry_damaged", OBJECTS, sa.Column("blob", sa.String, primary_key=True))

# Layers that are coming, and the parts of them that have come. `at` is where a part begins, `sha256` its digest.
uploads = sa.Table(
    "registry_uploads",
    OBJECTS,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("repository", NUMBER, nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("touched", sa.Float, nullable=False, index=True),
)
parts = sa.Table(
    "registry_parts",
    OBJECTS,
    sa.Column("upload", TEXT, primary_key=True),
    sa.Column("at", sa.BigInteger, primary_key=True),
    sa.Column("blob", sa.String, nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", TEXT, nullable=False),
    sa.Column("key", sa.LargeBinary),
)
