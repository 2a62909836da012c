"""Aliases: names for keys, which may come to mean another key of the same kind."""

from __future__ import annotations

import re

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.kms import faults, keys, managed_names, paging, permission
from clary.services.kms.asking import ALIAS, Asker
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Record
from clary.store.schema import records as table

operations = Operations()

_PREFIX = "alias/"
_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]+")


def _checked(name: str) -> str:
    """Raises ServiceError for what is no name, or AWS's own."""
    if not name.startswith(_PREFIX):
        page = "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        raise faults.invalid(f'Alias must start with the prefix "alias/". Please see {page}')
    if name.startswith(managed_names.PREFIX):
        raise ServiceError("NotAuthorizedException", "")
    if not _NAME.fullmatch(name):
        raise faults.invalid(f"{name} contains invalid characters for an alias")
    return name


@operations.handles("CreateAlias")
def create_alias(call: Call, given: Document) -> Document:
    name, asker = _checked(given["AliasName"]), Asker.of(call, given)
    arn = keys.alias_arn(call.account, call.region, name)
    permission.require_account(call, "kms:CreateAlias", arn)

    def commit(connection: Connection) -> None:
        target = _target(connection, asker, given["TargetKeyId"])
        alias = Record(ALIAS, call.account, call.region, arn, name, "", asker.now, asker.now, {}, target.arn)
        try:
            records.insert(connection, alias)
        except NameTaken:
            raise ServiceError("AlreadyExistsException", f"An alias with the name {arn} already exists") from None

    call.platform.stores.records.write(commit)
    return {}


def _target(connection: Connection, asker: Asker, key_id: str) -> Record:
    if _PREFIX in key_id:
        raise faults.invalid("Aliases must refer to keys. Not aliases")
    record = keys.require_customers(keys.find(connection, asker, key_id), asker)
    return keys.require_state(record, keys.ENABLED, keys.DISABLED, keys.PENDING_IMPORT)


@operations.handles("UpdateAlias")
def update_alias(call: Call, given: Document) -> Document:
    name, asker = _checked(given["AliasName"]), Asker.of(call, given)
    permission.require_account(call, "kms:UpdateAlias", keys.alias_arn(call.account, call.region, name))

    def commit(connection: Connection) -> None:
        alias = _find(connection, call, name)
        target = _target(connection, asker, given["TargetKeyId"])
        old = keys.by_arn(connection, alias.parent or "", asker.now)
        if old is not None and _kind(permission.require(connection, asker, old)) != _kind(target):
            raise faults.invalid(
                "The current and the new KMS key must be of the same type and have the same key usage."
            )
        records.delete(connection, alias)
        moved = Record(
            alias.kind, alias.account, alias.region, alias.arn, name, "", alias.created, asker.now, {}, target.arn
        )
        records.insert(connection, moved)

    call.platform.stores.records.write(commit)
    return {}


def _kind(record: Record) -> tuple[str, str]:
    family = keys.spec(record).family
    return "asymmetric" if family in ("rsa", "ecc", "edwards") else family, record.document["KeyUsage"]


@operations.handles("DeleteAlias")
def delete_alias(call: Call, given: Document) -> Document:
    name, asker = _checked(given["AliasName"]), Asker.of(call, given)
    permission.require_account(call, "kms:DeleteAlias", keys.alias_arn(call.account, call.region, name))

    def commit(connection: Connection) -> None:
        alias = _find(connection, call, name)
        target = keys.by_arn(connection, alias.parent or "", asker.now)
        if target is not None:
            permission.require(connection, asker, target)
        records.delete(connection, alias)

    call.platform.stores.records.write(commit)
    return {}


def _find(connection: Connection, call: Call, name: str) -> Record:
    arn = keys.alias_arn(call.account, call.region, name)
    found = records.by_arn(connection, arn)
    if found is None:
        raise faults.no_alias(arn)
    return found


@operations.handles("ListAliases")
def list_aliases(call: Call, given: Document) -> Document:
    permission.require_account(call, "kms:ListAliases")
    conditions = []
    if given.get("KeyId"):
        asker = Asker.of(call, given)
        key = call.platform.stores.records.read(lambda connection: keys.own(connection, asker, given["KeyId"]))
        conditions.append(table.c.parent == key.arn)
    return paging.of_records(call, given, ALIAS, "Aliases", _shown, *conditions)


def _shown(alias: Record) -> Document:
    return {
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": (alias.parent or "").rpartition("/")[2],
        "CreationDate": alias.created,
        "LastUpdatedDate": alias.modified,
    }
