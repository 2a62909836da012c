"""CreateKey."""

from __future__ import annotations

import secrets
import uuid

from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.services.kms import faults, keys, managed_names, material, metadata, permission, policies, tags
from clary.services.kms.asking import KEY
from clary.services.kms.specs import SYMMETRIC, Spec, spec_of, usage_of
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.store import records
from clary.store.records import Record

operations = Operations()

_NOT_BUILT = ("CustomKeyStoreId", "XksKeyId")


@operations.handles("CreateKey")
def create_key(call: Call, given: Document) -> Document:
    refuse("CreateKey", given, _NOT_BUILT)
    origin = given.get("Origin", "AWS_KMS")
    if origin not in ("AWS_KMS", "EXTERNAL"):
        raise faults.not_built("CreateKey", f"Origin {origin}")
    spec = _spec(given)
    usage = usage_of(spec, given.get("KeyUsage"))
    policy = policies.checked(call, given) if "Policy" in given else policies.default(call.account)
    named = tags.checked(given.get("Tags", ()))
    _require(call, given, {"kms:keyspec": spec.name, "kms:keyusage": usage, "kms:keyorigin": origin}, named)
    document = new_document(spec, usage, policies.pinned(call, policy))
    document |= {"Origin": origin, "Description": given.get("Description", "")}
    if given.get("MultiRegion"):
        key_id = f"mrk-{secrets.token_hex(16)}"
        document |= {"KeyId": key_id, "MultiRegion": True, "PrimaryRegion": call.region, "ReplicaRegions": []}
    record = new_record(call.platform, call.account, call.region, spec, document)

    def commit(connection: Connection) -> None:
        records.insert(connection, record)
        tags.write(connection, record.arn, named)

    call.platform.stores.records.write(commit)
    return {"KeyMetadata": metadata.shown(record)}


def _require(call: Call, given: Document, made: dict[str, str], named: dict[str, str]) -> None:
    """Raises AccessDeniedException unless the caller may make such a key with such tags."""
    told = permission.request_keys(given) | permission.tag_keys(named)
    told |= {key: (value,) for key, value in made.items()}
    told["kms:multiregion"] = ("true" if given.get("MultiRegion") else "false",)
    permission.require_account(call, "kms:CreateKey", "*", told)
    if named:
        permission.require_account(call, "kms:TagResource", "*", told)


def _spec(given: Document) -> Spec:
    name, old_name = given.get("KeySpec"), given.get("CustomerMasterKeySpec")
    if name and old_name:
        raise faults.invalid("You cannot specify KeySpec and CustomerMasterKeySpec in the same request.")
    return spec_of("CreateKey", name or old_name or SYMMETRIC)


def new_document(spec: Spec, usage: str, policy: str) -> Document:
    """Of a key that nobody has asked anything special for."""
    return {
        "KeyId": str(uuid.uuid4()),
        "Description": "",
        "KeyUsage": usage,
        "KeySpec": spec.name,
        "KeyState": keys.ENABLED,
        "Origin": "AWS_KMS",
        "KeyManager": managed_names.CUSTOMER,
        "MultiRegion": False,
        "Policy": policy,
        "Materials": [],
    }


def new_record(platform: Platform, account: str, region: str, spec: Spec, document: Document) -> Record:
    """The key with its first material, unless that is to be imported."""
    now, key_id = platform.clock.now(), document["KeyId"]
    if document["Origin"] == "EXTERNAL":
        document |= {"KeyState": keys.PENDING_IMPORT}
    else:
        drawn = material.draw(spec)
        document |= {"Materials": [material.material(platform.secrets, account, key_id, spec, drawn, now)]}
    arn = keys.arn_of(account, region, key_id)
    return Record(
        KEY,
        account,
        region,
        arn,
        key_id,
        created=now,
        modified=now,
        document=document,
        **keys.timing(document),
    )
