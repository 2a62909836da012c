"""The accounts of a server beside its first one, and how a file provides for them.

What a file says is made true and can be said again: accounts and users that are there stay, with their keys. An
account's root has one key, the file's where it gives one; a user gets the file's beside those that he has. Nothing is
deleted because a file does not name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from clary.clock import Clock
from clary.config import Settings
from clary.secrets import RootKey
from clary.services.iam import entities, generation, policies, root_key, sealing, shapes
from clary.services.iam.access_keys import MOST, key_arn, of_user
from clary.services.iam.account_file import InvalidAccounts, Key, WantedAccount, WantedUser
from clary.services.iam.first_start import execution_role
from clary.services.iam.identifiers import access_key, secret_key
from clary.services.iam.root_key import account_arn, root_arn
from clary.services.iam.users import new_user
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Record
from clary.store.schema import records as table

_KIND = "account"


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it is: `key` is its root's."""

    account: str
    name: str
    key: Key
    users: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of one server's database."""

    database: Database
    settings: Settings
    clock: Clock
    secrets: RootKey

    def apply(self, wanted: Sequence[WantedAccount]) -> list[tuple[str, str, Key]]:
        """All of it or nothing. Returns the keys of users that were drawn now, as (account, user, key): they are not
        told again. Raises InvalidAccounts."""

        def work(connection: Connection) -> list[tuple[str, str, Key]]:
            return [drawn for each in wanted for drawn in self._apply(connection, each)]

        return generation.change(self.database, work)

    def every(self) -> list[Account]:
        """The server's first account, and the others in order, with their root keys."""
        own = root_key.load(self.settings)

        def work(connection: Connection) -> list[Account]:
            first = self.settings.account
            found = [Account(first, "", Key(own.access_key, own.secret_key), self._users(connection, first))]
            return [*found, *(self._shown(connection, record) for record in _records(connection))]

        return self.database.read(work)

    def _shown(self, connection: Connection, record: Record) -> Account:
        key = record.document["AccessKeyId"]
        kept = records.by_arn(connection, key_arn(key))
        if kept is None:
            raise LookupError(f"account {record.account} has lost its root key {key}")
        secret = sealing.open_sealed(self.secrets, key, kept.document["SealedSecret"])
        users = self._users(connection, record.account)
        return Account(record.account, record.document["Name"], Key(key, secret), users)

    @staticmethod
    def _users(connection: Connection, account: str) -> int:
        return len(entities.every(connection, shapes.USER, account))

    def _apply(self, connection: Connection, wanted: WantedAccount) -> Iterator[tuple[str, str, Key]]:
        if wanted.account != self.settings.account:
            self._make(connection, wanted)
        elif wanted.key is not None:
            raise InvalidAccounts(
                f"account {wanted.account} is the server's first: its root key is given by CLARY_ROOT_ACCESS_KEY_ID "
                "and CLARY_ROOT_SECRET_ACCESS_KEY"
            )
        for user in wanted.users:
            yield from self._make_user(connection, wanted.account, user)

    def _make(self, connection: Connection, wanted: WantedAccount) -> None:
        now, arn = self.clock.now(), account_arn(wanted.account)
        old = records.by_arn(connection, arn)
        if old is None:
            key = wanted.key or _drawn()
            where = (wanted.account, shapes.REGION, arn, wanted.account)
            document = {"Name": wanted.name, "AccessKeyId": key.access_key}
            records.insert(connection, Record(_KIND, *where, "", now, now, document))
            records.insert(connection, execution_role(wanted.account, now))
            self._keep(connection, wanted.account, root_arn(wanted.account), key)
            return
        document = {**old.document, **({"Name": wanted.name} if wanted.name else {})}
        if wanted.key is not None:
            if wanted.key.access_key != document["AccessKeyId"]:
                _forget(connection, document["AccessKeyId"])
            self._keep(connection, wanted.account, root_arn(wanted.account), wanted.key)
            document["AccessKeyId"] = wanted.key.access_key
        if document != old.document:
            records.replace(connection, old, document=document, modified=now)

    def _make_user(self, connection: Connection, account: str, wanted: WantedUser) -> Iterator[tuple[str, str, Key]]:
        old = records.find(connection, shapes.USER, account, shapes.REGION, wanted.name)
        user = old or new_user(account, {"UserName": wanted.name}, self.clock.now())
        if old is None:
            records.insert(connection, user)
        self._attach(connection, user, wanted.policies)
        if wanted.key is not None:
            self._keep(connection, account, user.arn, wanted.key, wanted.name)
            if len(of_user(connection, user)) > MOST:
                raise InvalidAccounts(f"account {account}, user {wanted.name}: a user has {MOST} keys at most")
        elif old is None:
            key = _drawn()
            self._keep(connection, account, user.arn, key, wanted.name)
            yield account, wanted.name, key

    def _attach(self, connection: Connection, user: Record, wanted: Sequence[str]) -> None:
        for arn in wanted:
            if not policies.attachable(connection, user.account, arn):
                raise InvalidAccounts(f"account {user.account}, user {user.name}: there is no policy {arn}")
        attached = list(dict.fromkeys((*user.document["AttachedPolicies"], *wanted)))
        if attached != user.document["AttachedPolicies"]:
            document = {**user.document, "AttachedPolicies": attached}
            records.replace(connection, user, document=document, modified=self.clock.now())

    def _keep(self, connection: Connection, account: str, owner: str, key: Key, user: str = "") -> None:
        """A key of the root's or a user's, in the place of the same key. Raises InvalidAccounts."""
        old = records.by_arn(connection, key_arn(key.access_key))
        taken = key.access_key == root_key.load(self.settings).access_key
        if taken or (old is not None and old.parent != owner):
            raise InvalidAccounts(f"account {account}: the access key {key.access_key} is somebody else's")
        if old is not None:
            if sealing.open_sealed(self.secrets, key.access_key, old.document["SealedSecret"]) == key.secret_key:
                return
            records.delete(connection, old)
        now, sealed = self.clock.now(), sealing.seal(self.secrets, key.access_key, key.secret_key)
        document = {"AccessKeyId": key.access_key, "SealedSecret": sealed, "UserName": user, "CreateDate": now}
        where = (account, shapes.REGION, key_arn(key.access_key), key.access_key)
        records.insert(connection, Record(shapes.ACCESS_KEY, *where, "Active", now, now, document, owner))


def _forget(connection: Connection, key: str) -> None:
    old = records.by_arn(connection, key_arn(key))
    if old is not None:
        records.delete(connection, old)


def _records(connection: Connection) -> list[Record]:
    arns = connection.execute(table.select().with_only_columns(table.c.arn).where(table.c.kind == _KIND))
    found = (records.by_arn(connection, arn) for arn in sorted(arns.scalars()))
    return [record for record in found if record is not None]


def _drawn() -> Key:
    return Key(access_key("AKIA"), secret_key())
