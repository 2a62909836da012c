"""Users and access keys."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import errors, generation, root_key, shapes
from clary.services.iam.identifiers import access_key as new_access_key
from clary.services.iam.identifiers import secret_key, unique_id
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Query, Record

operations = Operations()

_MOST_KEYS = 2
_OURS = ("InlinePolicies", "AttachedPolicies", "Groups")


def key_arn(access_key: str) -> str:
    """What an access key is stored under: found without knowing its account."""
    return f"arn:aws:iam:::access-key/{access_key}"


def _find(connection: Connection, account: str, name: str) -> Record:
    record = records.find(connection, shapes.USER, account, shapes.REGION, name)
    if record is None:
        raise errors.no_user(name)
    return record


def _shown(record: Record, brief: bool = False) -> Document:
    answer = {name: value for name, value in record.document.items() if name not in _OURS}
    answer["CreateDate"] = shapes.when(answer["CreateDate"])
    if brief or not answer["Tags"]:
        del answer["Tags"]
    return answer


def _caller(call: Call) -> str:
    """The name of the user who calls; raises ServiceError when it is nobody of that sort."""
    if call.principal.kind != "user":
        raise errors.invalid("Must specify userName when calling with non-User credentials")
    return call.principal.arn.rpartition("/")[2]


@operations.handles("CreateUser")
def create_user(call: Call, given: Document) -> Document:
    if "PermissionsBoundary" in given:
        raise errors.not_built("CreateUser", "PermissionsBoundary")
    now = call.platform.clock.now()
    path, name = given.get("Path") or "/", given["UserName"]
    arn = f"arn:aws:iam::{call.account}:user{path}{name}"
    tags = shapes.merged_tags((), given.get("Tags", ()))
    document = {
        "Path": path,
        "UserName": name,
        "UserId": unique_id("AIDA"),
        "Arn": arn,
        "CreateDate": now,
        "Tags": tags,
        "InlinePolicies": {},
        "AttachedPolicies": [],
        "Groups": [],
    }
    record = Record(shapes.USER, call.account, shapes.REGION, arn, name, "", now, now, document)
    try:
        generation.write(call, lambda connection: records.insert(connection, record))
    except NameTaken:
        raise errors.exists(f"User with name {name} already exists.") from None
    return {"User": _shown(record)}


@operations.handles("GetUser")
def get_user(call: Call, given: Document) -> Document:
    if "UserName" not in given and call.principal.kind == "root":
        made = root_key.path(call.platform.settings).stat().st_mtime
        return {
            "User": {
                "Path": "/",
                "UserName": "",
                "UserId": call.account,
                "Arn": call.principal.arn,
                "CreateDate": shapes.when(made),
            }
        }
    name = given.get("UserName") or _caller(call)
    return {"User": call.platform.stores.records.read(lambda connection: _shown(_find(connection, call.account, name)))}


@operations.handles("ListUsers")
def list_users(call: Call, given: Document) -> Document:
    query = shapes.listing(call, shapes.USER, "user", given)
    found = call.platform.stores.records.read(lambda connection: records.select(connection, query))
    return shapes.paged(found, given, "Users", lambda record: _shown(record, brief=True))


@operations.handles("DeleteUser")
def delete_user(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = _find(connection, call.account, given["UserName"])
        if _keys(connection, record):
            raise errors.conflict("Cannot delete entity, must delete access keys first.")
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


def _keys(connection: Connection, user: Record) -> list[Record]:
    return records.select(connection, Query(shapes.ACCESS_KEY, user.account, shapes.REGION, parent=user.arn))


@operations.handles("CreateAccessKey")
def create_access_key(call: Call, given: Document) -> Document:
    name = given.get("UserName") or _caller(call)
    now, key, secret = call.platform.clock.now(), new_access_key("AKIA"), secret_key()

    def work(connection: Connection) -> None:
        user = _find(connection, call.account, name)
        if len(_keys(connection, user)) >= _MOST_KEYS:
            raise errors.limit(f"Cannot exceed quota for AccessKeysPerUser: {_MOST_KEYS}")
        document = {"AccessKeyId": key, "SecretAccessKey": secret, "UserName": name, "CreateDate": now}
        record = Record(
            shapes.ACCESS_KEY, call.account, shapes.REGION, key_arn(key), key, "Active", now, now, document, user.arn
        )
        records.insert(connection, record)

    generation.write(call, work)
    shown = {"UserName": name, "AccessKeyId": key, "Status": "Active", "SecretAccessKey": secret}
    return {"AccessKey": {**shown, "CreateDate": shapes.when(now)}}


@operations.handles("ListAccessKeys")
def list_access_keys(call: Call, given: Document) -> Document:
    name = given.get("UserName") or _caller(call)
    found = call.platform.stores.records.read(
        lambda connection: _keys(connection, _find(connection, call.account, name))
    )

    def shown(record: Record) -> Document:
        created = shapes.when(record.created)
        return {"UserName": name, "AccessKeyId": record.name, "Status": record.status, "CreateDate": created}

    return shapes.page(found, given, "AccessKeyMetadata", shown, lambda record: str(record.name))


def _key(connection: Connection, account: str, user: str, access_key: str) -> Record:
    for record in _keys(connection, _find(connection, account, user)):
        if record.name == access_key:
            return record
    raise errors.no_such(f"The Access Key with id {access_key} cannot be found.")


@operations.handles("UpdateAccessKey")
def update_access_key(call: Call, given: Document) -> Document:
    name = given.get("UserName") or _caller(call)
    if given["Status"] not in ("Active", "Inactive"):
        raise errors.invalid("An access key can be made Active or Inactive.")

    def work(connection: Connection) -> Document:
        record = _key(connection, call.account, name, given["AccessKeyId"])
        records.replace(connection, record, status=given["Status"], modified=call.platform.clock.now())
        return {}

    return generation.write(call, work)


@operations.handles("DeleteAccessKey")
def delete_access_key(call: Call, given: Document) -> Document:
    name = given.get("UserName") or _caller(call)

    def work(connection: Connection) -> Document:
        records.delete(connection, _key(connection, call.account, name, given["AccessKeyId"]))
        return {}

    return generation.write(call, work)
