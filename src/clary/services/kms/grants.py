"""Grants: somebody may do some operations with one key, until the grant is retired or revoked."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.errors import ServiceError
from clary.secrets import SealBroken
from clary.services.iam import principals
from clary.services.kms import faults, keys, paging, permission
from clary.services.kms.asking import GRANT, Asker
from clary.services.kms.specs import AGREE, ENCRYPT, MAC, SIGN, SYMMETRIC
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.store import records
from clary.store.records import Record
from clary.store.schema import records as table

operations = Operations()

_TOKEN = b"kms grant token"
_KEPT = ("Name", "GranteePrincipal", "RetiringPrincipal", "Operations", "Constraints")
_NAMED = ("GranteePrincipal", "RetiringPrincipal")
_NOT_BUILT = ("GranteeServicePrincipal", "RetiringServicePrincipal", "Constraints.SourceArn")
_OF_ANY_KEY = frozenset({"CreateGrant", "RetireGrant", "DescribeKey"})
_OF_PAIRS = _OF_ANY_KEY | {"GetPublicKey"}
_CRYPTING = frozenset({"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"})
_DATA_KEYS = frozenset(f"GenerateDataKey{kind}" for kind in ("", "WithoutPlaintext", "Pair", "PairWithoutPlaintext"))
_BY_USAGE = {
    ENCRYPT: _OF_PAIRS | _CRYPTING,
    SIGN: _OF_PAIRS | {"Sign", "Verify"},
    AGREE: _OF_PAIRS | {"DeriveSharedSecret"},
    MAC: _OF_ANY_KEY | {"GenerateMac", "VerifyMac"},
}


@operations.handles("CreateGrant")
def create_grant(call: Call, given: Document) -> Document:
    refuse("CreateGrant", given, _NOT_BUILT)
    if "GranteePrincipal" not in given:
        raise faults.invalid("GranteePrincipal is required.")
    asker = Asker.of(call, given)

    def commit(connection: Connection) -> tuple[str, str]:
        require_tokens(call.platform, connection, given)
        key = keys.require_customers(keys.find(connection, asker, given["KeyId"]), asker)
        keys.require_state(key, keys.ENABLED)
        _require_operations(key, given["Operations"])
        unless_dry(given)
        kept = {name: given[name] for name in _KEPT if name in given}
        kept |= {name: principals.pin_name(connection, kept[name]) for name in _NAMED if name in kept}
        same = _same(connection, key, kept)
        if same is not None:
            return key.arn, str(same.name)
        record = _record(call, key, kept, asker.now)
        records.insert(connection, record)
        return key.arn, str(record.name)

    key_arn, grant_id = call.platform.stores.records.write(commit)
    return {"GrantId": grant_id, "GrantToken": _token(call.platform, key_arn, grant_id)}


def _record(call: Call, key: Record, kept: Document, now: float) -> Record:
    grant_id = secrets.token_hex(32)
    document = {**kept, "IssuingAccount": f"arn:aws:iam::{call.account}:root"}
    arn = _arn(key.arn, grant_id)
    return Record(GRANT, key.account, key.region, arn, grant_id, "", now, now, document, key.arn)


def _arn(key_arn: str, grant_id: str) -> str:
    return f"{key_arn}/grant/{grant_id}"


def _same(connection: Connection, key: Record, kept: Document) -> Record | None:
    """A grant of the same name and terms: a request that is repeated makes no second one."""
    if "Name" not in kept:
        return None
    for each in paging.children(connection, GRANT, key):
        if all(each.document.get(name) == kept.get(name) for name in _KEPT):
            return each
    return None


def _require_operations(key: Record, wanted: list[str]) -> None:
    """Raises ValidationException for operations that the key has not."""
    allowed = _BY_USAGE[key.document["KeyUsage"]]
    if key.document["KeySpec"] == SYMMETRIC:
        allowed = (allowed | _DATA_KEYS) - {"GetPublicKey"}
    for operation in wanted:
        if operation not in allowed:
            raise faults.invalid(f"Operation {operation} is not valid in a grant for {key.arn}.")


@operations.handles("ListGrants")
def list_grants(call: Call, given: Document) -> Document:
    refuse("ListGrants", given, ("GranteeServicePrincipal",))
    asker = Asker.of(call, given)
    key = call.platform.stores.records.read(lambda connection: keys.find(connection, asker, given["KeyId"]))
    conditions = [table.c.parent == key.arn]
    if "GrantId" in given:
        conditions.append(table.c.name == given["GrantId"])
    if "GranteePrincipal" in given:
        conditions.append(_names(call, "GranteePrincipal", given))
    return _told(call, paging.of_records(call, given, GRANT, "Grants", _shown, *conditions, account=key.account))


@operations.handles("ListRetirableGrants")
def list_retirable_grants(call: Call, given: Document) -> Document:
    refuse("ListRetirableGrants", given, ("RetiringServicePrincipal",))
    if "RetiringPrincipal" not in given:
        raise faults.invalid("RetiringPrincipal is required.")
    permission.require_account(call, "kms:ListRetirableGrants")
    mine = _names(call, "RetiringPrincipal", given)
    return _told(call, paging.of_records(call, given, GRANT, "Grants", _shown, mine))


def _names(call: Call, member: str, given: Document) -> sa.ColumnElement[bool]:
    """That a grant names the principal that the request names."""
    name = given[member]
    pinned = call.platform.stores.records.read(lambda connection: principals.pin_name(connection, name))
    named: sa.ColumnElement[bool] = table.c.document[member].as_string() == pinned
    return named


def _told(call: Call, answer: Document) -> Document:
    """With principals by the names that they have now."""
    grants: list[Document] = answer["Grants"]
    named = [grant[name] for grant in grants for name in _NAMED if name in grant]
    known = call.platform.stores.records.read(lambda connection: principals.arns(connection, named))
    for grant in grants:
        grant.update({name: known[grant[name]] for name in _NAMED if grant.get(name) in known})
    return answer


def _shown(grant: Record) -> Document:
    kept = {name: grant.document[name] for name in (*_KEPT, "IssuingAccount") if name in grant.document}
    return {"KeyId": grant.parent, "GrantId": grant.name, "CreationDate": grant.created, **kept}


@operations.handles("RevokeGrant")
def revoke_grant(call: Call, given: Document) -> Document:
    asker = Asker.of(call, given)

    def commit(connection: Connection) -> None:
        key = keys.require_customers(keys.find(connection, asker, given["KeyId"]), asker)
        grant = _find(connection, key, given["GrantId"])
        unless_dry(given)
        records.delete(connection, grant)

    call.platform.stores.records.write(commit)
    return {}


@operations.handles("RetireGrant")
def retire_grant(call: Call, given: Document) -> Document:
    """By its token, or by key and id."""
    asker = Asker.of(call, given)
    if ("GrantToken" in given) == ("GrantId" in given and "KeyId" in given):
        raise faults.invalid("Specify a grant token, or a key ID and a grant ID.")

    if "GrantToken" in given:
        key_id, grant_id = read_token(call.platform, given["GrantToken"])
    else:
        key_id, grant_id = given["KeyId"], given["GrantId"]

    def commit(connection: Connection) -> None:
        key = keys.look_up(connection, asker, key_id)
        grant = _find(connection, key, grant_id)
        permission.require_retirement(asker, key, grant)
        unless_dry(given)
        records.delete(connection, grant)

    call.platform.stores.records.write(commit)
    return {}


def _find(connection: Connection, key: Record, grant_id: str) -> Record:
    grant = records.by_arn(connection, _arn(key.arn, grant_id))
    if grant is None:
        raise faults.no_grant(grant_id)
    return grant


def _token(platform: Platform, key_arn: str, grant_id: str) -> str:
    """Another one every time, all as good."""
    return base64.urlsafe_b64encode(platform.secrets.seal(f"{key_arn} {grant_id}".encode(), _TOKEN)).decode()


def read_token(platform: Platform, token: str) -> tuple[str, str]:
    """(key ARN, grant id). Raises InvalidGrantTokenException."""
    try:
        sealed = base64.b64decode(token, altchars=b"-_", validate=True)
        key_arn, _, grant_id = platform.secrets.open(sealed, _TOKEN).decode().partition(" ")
    except (SealBroken, binascii.Error, ValueError):
        raise ServiceError("InvalidGrantTokenException", "The grant token is not valid.") from None
    return key_arn, grant_id


def require_tokens(platform: Platform, connection: Connection, given: Mapping[str, Any]) -> None:
    """Grants count as soon as they are made, so their tokens give nothing; but they have to be tokens of grants that
    there are. Raises InvalidGrantTokenException."""
    for token in given.get("GrantTokens") or ():
        if records.by_arn(connection, _arn(*read_token(platform, token))) is None:
            raise ServiceError("InvalidGrantTokenException", "The grant token is not valid.")


def unless_dry(given: Mapping[str, Any]) -> None:
    """Where nothing can be refused any more: raises DryRunOperationException when only that was to be known."""
    if given.get("DryRun"):
        raise faults.dry_run()
