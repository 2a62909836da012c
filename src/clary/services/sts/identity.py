"""Who is calling, and whose a key is."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.services.iam import root_key
from clary.services.iam.access_keys import key_arn
from clary.services.operation import Call, Document, Operations
from clary.services.sts import sessions
from clary.store import records

operations = Operations()


@operations.handles("GetCallerIdentity")
def get_caller_identity(call: Call, given: Document) -> Document:
    return {"UserId": call.principal.user_id, "Account": call.principal.account, "Arn": call.principal.arn}


@operations.handles("GetAccessKeyInfo")
def get_access_key_info(call: Call, given: Document) -> Document:
    key, settings = given["AccessKeyId"], call.platform.settings
    if key == root_key.load(settings).access_key:
        return {"Account": settings.account}

    def work(connection: Connection) -> str:
        record = records.by_arn(connection, key_arn(key))
        return record.account if record is not None else sessions.account_of(connection, key)

    return {"Account": call.platform.stores.records.read(work)}
