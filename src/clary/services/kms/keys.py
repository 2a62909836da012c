"""KMS keys as records: how they are found, what state they are in at a given moment, how they change.

A record's document is the key's metadata in AWS's words with times as epoch seconds, `Policy` as text, its `Materials`
(material.py) and, of a multi-Region key, `PrimaryRegion` and `ReplicaRegions`. While something is going to fall due by
itself (deletion, the end of imported material, rotation), the record's status is DUE and it is in QUEUE until then: the
scheduler looks at it when its time has come.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TypedDict

from sqlalchemy.engine import Connection

from clary.arns import Arn
from clary.services.kms import faults, managed_names, material, permission
from clary.services.kms.asking import KEY, Asker
from clary.services.kms.specs import SPECS, Spec
from clary.services.operation import Document
from clary.store import records
from clary.store.records import Record

DUE, QUEUE = "Due", "kms-time"
ENABLED, DISABLED = "Enabled", "Disabled"
PENDING_DELETION, PENDING_REPLICAS, PENDING_IMPORT = "PendingDeletion", "PendingReplicaDeletion", "PendingImport"
_REFUSALS = {
    PENDING_DELETION: "is pending deletion.",
    PENDING_REPLICAS: "is pending replica deletion.",
    PENDING_IMPORT: "is pending import.",
}
_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")


class Timing(TypedDict):
    status: str
    queue: str
    until: float | None


def arn_of(account: str, region: str, key_id: str) -> str:
    return str(Arn("kms", region, account, f"key/{key_id}"))


def alias_arn(account: str, region: str, name: str) -> str:
    return str(Arn("kms", region, account, name))


def find(connection: Connection, asker: Asker, key_id: str, *, aliases: bool = False) -> Record:
    """The key by its id or ARN, with `aliases` also by an alias's name or ARN, if the asker may do with it what he
    wants to. Raises ServiceError (NotFoundException; AccessDeniedException, also for whatever another account does not
    have)."""
    return permission.require(connection, asker, look_up(connection, asker, key_id, aliases=aliases))


def look_up(connection: Connection, asker: Asker, key_id: str, *, aliases: bool = False) -> Record:
    """The key, whoever asks: what he may do with it is still to be seen."""
    account, name = _place(asker, key_id)
    if name.startswith("alias/"):
        if not aliases:
            raise faults.bad_key_id(key_id)
        missing = faults.no_alias(alias_arn(account, asker.region, name))
        alias = records.by_arn(connection, alias_arn(account, asker.region, name))
        found = by_arn(connection, alias.parent or "", asker.now) if alias is not None else None
    elif not _KEY_ID.fullmatch(name):
        raise faults.bad_key_id(key_id)
    else:
        missing = faults.no_key(arn_of(account, asker.region, name))
        found = by_arn(connection, arn_of(account, asker.region, name), asker.now)
    if found is not None:
        return found
    raise missing if account == asker.account else faults.foreign(asker.principal, asker.operation, key_id)


def own(connection: Connection, asker: Asker, key_id: str) -> Record:
    """The key of the asker's account, for what its key policy has no say in. Raises ServiceError."""
    record = look_up(connection, asker, key_id)
    if record.account != asker.account:
        raise faults.foreign(asker.principal, asker.operation, key_id)
    return record


def owner(asker: Asker, key_id: str) -> str:
    """The account that the key is of by its name, be it there or not. Raises NotFoundException."""
    return _place(asker, key_id)[0]


def _place(asker: Asker, key_id: str) -> tuple[str, str]:
    """(account, key id or alias's name)."""
    if not key_id.startswith("arn:"):
        return asker.account, key_id
    try:
        arn = Arn.parse(key_id)
    except ValueError:
        raise faults.bad_arn(key_id) from None
    if arn.service != "kms":
        raise faults.bad_arn(key_id)
    if arn.region != asker.region:
        raise faults.bad_arn(arn.region)
    return arn.account, arn.resource.removeprefix("key/")


def by_arn(connection: Connection, arn: str, now: float) -> Record | None:
    """The key as it is at `now`: what fell due since it was written counts, whether it was carried out yet or not."""
    record = records.by_arn(connection, arn)
    if record is None or record.kind != KEY or gone(record.document, now):
        return None
    return dataclasses.replace(record, document=without_expired(record.document, now))


def gone(document: Document, now: float) -> bool:
    """Whether its waiting period has ended."""
    return document["KeyState"] == PENDING_DELETION and bool(document["DeletionDate"] <= now)


def without_expired(document: Document, now: float) -> Document:
    """The document without imported material whose time is over; the same one when there is none."""
    if not any(_expired(each, now) for each in document["Materials"]):
        return document
    left = [{**each, "Sealed": None} if _expired(each, now) else each for each in document["Materials"]]
    changed = {**document, "Materials": left}
    if any(_expired(each, now) and each["State"] != material.PENDING for each in document["Materials"]):
        changed |= {"KeyState": PENDING_IMPORT} if document["KeyState"] in (ENABLED, DISABLED) else {}
    return changed


def _expired(kept: material.Material, now: float) -> bool:
    return kept["Sealed"] is not None and bool(kept.get("ValidTo", now + 1) <= now)


def due_at(document: Document) -> float | None:
    """When something has to happen to the key by itself; None when nothing has."""
    times = [each["ValidTo"] for each in document["Materials"] if each["Sealed"] is not None and "ValidTo" in each]
    if document["KeyState"] == PENDING_DELETION:
        times.append(document["DeletionDate"])
    if document["KeyState"] == ENABLED and document.get("NextRotation") is not None:
        times.append(document["NextRotation"])
    return min(times, default=None)


def complete(document: Document) -> bool:
    """Whether all the material is there that the key decrypts and encrypts with."""
    used = [each for each in document["Materials"] if each["State"] != material.PENDING]
    return bool(used) and all(each["Sealed"] is not None for each in used)


def change(connection: Connection, record: Record, now: float, **members: object) -> Record:
    """Writes `members` into the key's document; None takes one out. Raises records.Changed."""
    document = {name: value for name, value in {**record.document, **members}.items() if value is not None}
    return records.replace(connection, record, document=document, modified=now, **timing(document))


def timing(document: Document) -> Timing:
    """The members of the record by which the scheduler knows when to look at the key."""
    due = due_at(document)
    return {"status": "" if due is None else DUE, "queue": "" if due is None else QUEUE, "until": due}


def require_customers(record: Record, asker: Asker) -> Record:
    """Raises AccessDeniedException for an AWS managed key."""
    if record.document["KeyManager"] == managed_names.AWS and not asker.service:
        raise faults.not_the_customers(asker.principal, asker.operation, record.arn)
    return record


def require_state(record: Record, *states: str) -> Record:
    """Raises DisabledException, KMSInvalidStateException."""
    state = record.document["KeyState"]
    if state in states:
        return record
    if state == DISABLED:
        raise faults.disabled(record.arn)
    raise faults.wrong_state(f"{record.arn} {_REFUSALS[state]}")


def usable(connection: Connection, asker: Asker, key_id: str, usage: str, *, aliases: bool = True) -> Record:
    """The key for a cryptographic operation. Raises ServiceError."""
    record = require_customers(find(connection, asker, key_id, aliases=aliases), asker)
    require_state(record, ENABLED)
    if record.document["KeyUsage"] != usage:
        raise faults.wrong_usage(record.arn, record.document["KeyUsage"], asker.operation)
    return record


def spec(record: Record) -> Spec:
    return SPECS[record.document["KeySpec"]]


def require_algorithm(record: Record, algorithm: str) -> Spec:
    """Raises InvalidKeyUsageException when the key has no such algorithm."""
    kind = spec(record)
    if algorithm not in kind.algorithms[record.document["KeyUsage"]]:
        raise faults.incompatible(algorithm, kind.name)
    return kind
