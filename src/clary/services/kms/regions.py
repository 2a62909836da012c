"""Multi-Region keys: the same key id and material in several regions of one account. The primary key decides over
rotation and replicas; all of it is changed in one transaction."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.kms import faults, keys, metadata, permission, policies, tags
from clary.services.kms.asking import KEY, Asker
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Record

operations = Operations()

_DAY = 86_400.0


@operations.handles("ReplicateKey")
def replicate_key(call: Call, given: Document) -> Document:
    asker, region = Asker.of(call, given), given["ReplicaRegion"]
    policy = policies.checked(call, given) if "Policy" in given else policies.default(call.account)
    named = tags.checked(given.get("Tags", ()))
    permission.require_account(call, "kms:CreateKey", "*", permission.tag_keys(named))
    if named:
        permission.require_account(call, "kms:TagResource", "*", permission.tag_keys(named))

    stored = policies.pinned(call, policy)

    def commit(connection: Connection) -> Record:
        primary = _primary(connection, asker, given["KeyId"])
        keys.require_state(primary, keys.ENABLED)
        listed = sorted({*primary.document["ReplicaRegions"], region})
        _share(connection, primary, asker.now, ReplicaRegions=listed)
        replica = _replica(primary, region, listed, given.get("Description", ""), stored, asker.now)
        try:
            records.insert(connection, replica)
        except NameTaken:
            raise ServiceError("AlreadyExistsException", f"Key {replica.arn} already exists") from None
        tags.write(connection, replica.arn, named)
        return replica

    replica = call.platform.stores.records.write(commit)
    told = [{"TagKey": key, "TagValue": value} for key, value in named.items()]
    return {"ReplicaKeyMetadata": metadata.shown(replica), "ReplicaPolicy": policy, "ReplicaTags": told}


def _replica(primary: Record, region: str, listed: list[str], description: str, policy: str, now: float) -> Record:
    """A replica of imported material has to have it imported too."""
    external = primary.document["Origin"] == "EXTERNAL"
    document = {
        **primary.document,
        "ReplicaRegions": listed,
        "Description": description,
        "Policy": policy,
        "KeyState": keys.PENDING_IMPORT if external else keys.ENABLED,
        "Materials": [] if external else primary.document["Materials"],
    }
    document.pop("NextRotation", None)  # the primary key's alone
    arn = keys.arn_of(primary.account, region, document["KeyId"])
    return Record(
        KEY,
        primary.account,
        region,
        arn,
        primary.name,
        created=now,
        modified=now,
        document=document,
        **keys.timing(document),
    )


def _primary(connection: Connection, asker: Asker, key_id: str) -> Record:
    """Raises UnsupportedOperationException for any other key."""
    record = keys.find(connection, asker, key_id)
    if not record.document["MultiRegion"] or record.document["PrimaryRegion"] != record.region:
        raise faults.unsupported(f"{record.arn} is not a multi-region primary key.")
    return record


@operations.handles("UpdatePrimaryRegion")
def update_primary_region(call: Call, given: Document) -> Document:
    asker, region = Asker.of(call, given), given["PrimaryRegion"]

    def commit(connection: Connection) -> None:
        primary = _primary(connection, asker, given["KeyId"])
        keys.require_state(primary, keys.ENABLED, keys.DISABLED, keys.PENDING_IMPORT)
        if region not in primary.document["ReplicaRegions"]:
            raise faults.no_key(keys.arn_of(call.account, region, primary.document["KeyId"]))
        others = [each for each in primary.document["ReplicaRegions"] if each != region]
        _share(
            connection,
            primary,
            asker.now,
            PrimaryRegion=region,
            ReplicaRegions=sorted([*others, primary.region]),
            NextRotation=None,
        )
        heir = records.by_arn(connection, keys.arn_of(call.account, region, primary.document["KeyId"]))
        if heir is not None:
            permission.require(connection, asker, heir)
        if heir is not None and primary.document.get("NextRotation") is not None:
            keys.change(connection, heir, asker.now, NextRotation=primary.document["NextRotation"])

    call.platform.stores.records.write(commit)
    call.platform.wake()
    return {}


def share_material(connection: Connection, primary: Record, now: float) -> None:
    """After the primary key's rotation: its replicas have the same materials and the same period."""
    for record in _set(connection, primary):
        if record.arn != primary.arn:
            keys.change(
                connection,
                record,
                now,
                Materials=primary.document["Materials"],
                RotationPeriodInDays=primary.document.get("RotationPeriodInDays"),
            )


def _share(connection: Connection, primary: Record, now: float, **members: object) -> None:
    for record in _set(connection, primary):
        keys.change(connection, record, now, **members)


def _set(connection: Connection, record: Record) -> list[Record]:
    """All keys of the set that `record` is one of."""
    document = record.document
    places = [document["PrimaryRegion"], *document["ReplicaRegions"]]
    found = (records.by_arn(connection, keys.arn_of(record.account, each, document["KeyId"])) for each in places)
    return [each for each in found if each is not None]


def forget(connection: Connection, gone: Record, now: float) -> None:
    """A replica was deleted. A primary key that waits for its last replica to go begins its own waiting period."""
    for record in _set(connection, gone):
        left = [each for each in record.document["ReplicaRegions"] if each != gone.region]
        members: Document = {"ReplicaRegions": left}
        if record.document["KeyState"] == keys.PENDING_REPLICAS and not left:
            days = record.document["PendingDeletionWindowInDays"]
            members |= {"KeyState": keys.PENDING_DELETION, "DeletionDate": now + days * _DAY}
        keys.change(connection, record, now, **members)
