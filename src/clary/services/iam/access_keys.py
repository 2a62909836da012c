"""Access keys: two of each user, their secrets told once and kept sealed."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, generation, sealing, shapes
from clary.services.iam.identifiers import access_key, secret_key
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import Query, Record

operations = Operations()

MOST = 2


def key_arn(key: str) -> str:
    """What an access key is stored under: found without knowing its account."""
    return f"arn:aws:iam:::access-key/{key}"


def caller(call: Call) -> str:
    """The name of the user who calls; raises ServiceError when it is nobody of that sort."""
    if call.principal.kind != "user":
        raise errors.invalid("Must specify userName when calling with non-User credentials")
    return call.principal.arn.rpartition("/")[2]


def of_user(connection: Connection, user: Record) -> list[Record]:
    return records.select(connection, Query(shapes.ACCESS_KEY, user.account, shapes.REGION, parent=user.arn))


def hand_over(connection: Connection, old: Record, new: Record) -> None:
    """The keys of a user who has another ARN now."""
    for record in of_user(connection, old):
        document = {**record.document, "UserName": new.name}
        records.delete(connection, record)
        records.insert(connection, replace(record, document=document, parent=new.arn))


@operations.handles("CreateAccessKey")
def create_access_key(call: Call, given: Document) -> Document:
    name = given.get("UserName") or caller(call)
    now, key, secret = call.platform.clock.now(), access_key("AKIA"), secret_key()
    sealed = sealing.seal(call.platform.secrets, key, secret)
    document = {"AccessKeyId": key, "SealedSecret": sealed, "UserName": name, "CreateDate": now}

    def work(connection: Connection) -> None:
        user = _user(connection, call.account, name)
        if len(of_user(connection, user)) >= MOST:
            raise errors.limit(f"Cannot exceed quota for AccessKeysPerUser: {MOST}")
        where = (call.account, shapes.REGION, key_arn(key), key)
        records.insert(connection, Record(shapes.ACCESS_KEY, *where, "Active", now, now, document, user.arn))

    generation.write(call, work)
    shown = {"UserName": name, "AccessKeyId": key, "Status": "Active", "SecretAccessKey": secret}
    return {"AccessKey": {**shown, "CreateDate": shapes.when(now)}}


def _user(connection: Connection, account: str, name: str) -> Record:
    return entities.find(connection, entities.USER, account, name)


@operations.handles("ListAccessKeys")
def list_access_keys(call: Call, given: Document) -> Document:
    name = given.get("UserName") or caller(call)
    found = call.platform.stores.records.read(
        lambda connection: of_user(connection, _user(connection, call.account, name))
    )

    def shown(record: Record) -> Document:
        created = shapes.when(record.created)
        return {"UserName": name, "AccessKeyId": record.name, "Status": record.status, "CreateDate": created}

    return shapes.page(found, given, "AccessKeyMetadata", shown, shapes.name)


def _key(connection: Connection, account: str, user: str, key: str) -> Record:
    for record in of_user(connection, _user(connection, account, user)):
        if record.name == key:
            return record
    raise errors.no_such(f"The Access Key with id {key} cannot be found.")


@operations.handles("UpdateAccessKey")
def update_access_key(call: Call, given: Document) -> Document:
    name = given.get("UserName") or caller(call)
    if given["Status"] not in ("Active", "Inactive"):
        raise errors.invalid("An access key can be made Active or Inactive.")

    def work(connection: Connection) -> Document:
        record = _key(connection, call.account, name, given["AccessKeyId"])
        records.replace(connection, record, status=given["Status"], modified=call.platform.clock.now())
        return {}

    return generation.write(call, work)


@operations.handles("DeleteAccessKey")
def delete_access_key(call: Call, given: Document) -> Document:
    name = given.get("UserName") or caller(call)

    def work(connection: Connection) -> Document:
        records.delete(connection, _key(connection, call.account, name, given["AccessKeyId"]))
        return {}

    return generation.write(call, work)


@operations.handles("GetAccessKeyLastUsed")
def get_access_key_last_used(call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(
        lambda connection: records.by_arn(connection, key_arn(given["AccessKeyId"]))
    )
    if record is None or record.account != call.account:
        # Whatever the key is: another account's is answered as one that is nobody's.
        message = f"User: {call.principal.arn} is not authorized to perform: iam:GetAccessKeyLastUsed on resource: "
        raise errors.denied(f"{message}access key {given['AccessKeyId']}")
    return {"UserName": record.document["UserName"], "AccessKeyLastUsed": _last_use(record.document.get("LastUsed"))}


def _last_use(used: Document | None) -> Document:
    if used is None:
        return {"ServiceName": "N/A", "Region": "N/A"}
    return {"ServiceName": used["Service"], "Region": used["Region"], "LastUsedDate": shapes.when(used["At"])}
