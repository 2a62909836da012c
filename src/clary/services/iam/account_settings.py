"""What belongs to an account as a whole: its alias, what it asks of passwords, how much of everything it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from clary.services.iam import entities, errors, generation, passwords, shapes
from clary.services.operation import Call, Document, Operations
from clary.store import records
from clary.store.records import NameTaken, Record

operations = Operations()

_ALIAS = "iam-account-alias"
_PASSWORDS = "iam-password-policy"
_DEFAULTS: Document = {
    "MinimumPasswordLength": 6,
    "RequireSymbols": False,
    "RequireNumbers": False,
    "RequireUppercaseCharacters": False,
    "RequireLowercaseCharacters": False,
    "AllowUsersToChangePassword": False,
}


def _alias_arn(alias: str) -> str:
    """An alias names one account of all."""
    return f"clary:iam-account-alias/{alias}"


@operations.handles("CreateAccountAlias")
def create_account_alias(call: Call, given: Document) -> Document:
    alias, now = given["AccountAlias"], call.platform.clock.now()

    def work(connection: Connection) -> Document:
        for old in entities.every(connection, _ALIAS, call.account):
            records.delete(connection, old)  # an account has one, the newest
        where = (call.account, shapes.REGION, _alias_arn(alias), alias)
        records.insert(connection, Record(_ALIAS, *where, "", now, now, {}))
        return {}

    try:
        return generation.write(call, work)
    except NameTaken:
        raise errors.exists(f"The account alias {alias} already exists.") from None


@operations.handles("ListAccountAliases")
def list_account_aliases(call: Call, given: Document) -> Document:
    found = call.platform.stores.records.read(lambda connection: entities.every(connection, _ALIAS, call.account))
    return shapes.page(found, given, "AccountAliases", shapes.name, shapes.name)


@operations.handles("DeleteAccountAlias")
def delete_account_alias(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = records.by_arn(connection, _alias_arn(given["AccountAlias"]))
        if record is None or record.account != call.account:
            raise errors.no_such(f"The account alias {given['AccountAlias']} cannot be found.")
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


def _passwords(connection: Connection, account: str) -> Record | None:
    return records.by_arn(connection, f"clary:iam-password-policy/{account}")


def password_policy(connection: Connection, account: str) -> Mapping[str, Any]:
    """What the account asks of passwords, AWS's default where it says nothing."""
    record = _passwords(connection, account)
    return passwords.DEFAULT if record is None else record.document


@operations.handles("UpdateAccountPasswordPolicy")
def update_account_password_policy(call: Call, given: Document) -> Document:
    for member in ("MaxPasswordAge", "PasswordReusePrevention", "HardExpiry"):
        if given.get(member):
            raise errors.not_built("UpdateAccountPasswordPolicy", member)
    now = call.platform.clock.now()
    document = {name: given.get(name, default) for name, default in _DEFAULTS.items()}

    def work(connection: Connection) -> Document:
        old = _passwords(connection, call.account)
        if old is not None:
            records.delete(connection, old)
        where = (call.account, shapes.REGION, f"clary:iam-password-policy/{call.account}", None)
        records.insert(connection, Record(_PASSWORDS, *where, "", now, now, document))
        return {}

    return generation.write(call, work)


@operations.handles("GetAccountPasswordPolicy")
def get_account_password_policy(call: Call, given: Document) -> Document:
    record = call.platform.stores.records.read(lambda connection: _passwords(connection, call.account))
    if record is None:
        raise errors.no_such(f"The Password Policy with domain name {call.account} cannot be found.")
    return {"PasswordPolicy": {**record.document, "ExpirePasswords": False}}


@operations.handles("DeleteAccountPasswordPolicy")
def delete_account_password_policy(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        record = _passwords(connection, call.account)
        if record is None:
            raise errors.no_such("The account policy with name PasswordPolicy cannot be found.")
        records.delete(connection, record)
        return {}

    return generation.write(call, work)


_COUNTED = {
    "Users": shapes.USER,
    "Groups": shapes.GROUP,
    "Roles": shapes.ROLE,
    "Policies": shapes.POLICY,
    "InstanceProfiles": shapes.INSTANCE_PROFILE,
    "Providers": shapes.OIDC_PROVIDER,
}
_QUOTAS = {
    "AccessKeysPerUserQuota": 2,
    "GroupsPerUserQuota": 10,
    "AttachedPoliciesPerUserQuota": 10,
    "AttachedPoliciesPerGroupQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "PolicySizeQuota": 6144,
    "VersionsPerPolicyQuota": 5,
    **{f"{entity.noun}PolicySizeQuota": entity.inline_limit for entity in entities.ALL},
}


@operations.handles("GetAccountSummary")
def get_account_summary(call: Call, given: Document) -> Document:
    """Counts, and the quotas that hold: how many users, roles or policies an account has is not bounded."""

    def work(connection: Connection) -> dict[str, int]:
        found = {name: entities.every(connection, kind, call.account) for name, kind in _COUNTED.items()}
        counts = {name: len(each) for name, each in found.items()}
        versions = sum(len(policy.document["Versions"]) for policy in found["Policies"])
        return {**counts, "PolicyVersionsInUse": versions}

    # The root of an account has a key here from the start.
    known = {"AccountAccessKeysPresent": 1, "AccountMFAEnabled": 0, "MFADevices": 0, "MFADevicesInUse": 0}
    return {"SummaryMap": {**call.platform.stores.records.read(work), **known, **_QUOTAS}}
