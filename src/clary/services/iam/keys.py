"""The keys that open the gate: the root's, those of users, those of sessions."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Set

from sqlalchemy.engine import Connection

from clary.auth.principals import Credential, Principal
from clary.clock import Clock
from clary.config import Settings
from clary.secrets import RootKey
from clary.services.iam import generation, root_key, sealing, shapes
from clary.services.iam.access_keys import key_arn
from clary.services.iam.root_key import root_arn
from clary.services.sts.sessions import find_session
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Record

FRESH_SECONDS = 1.0  # how late a change that another server made to the same database may be noticed
_MOST = 4096


class RecordKeyring:
    """Implements `clary.auth.principals.Keyring`. Safe between threads. Found keys are remembered, so that a busy
    client costs one look a second; keys that are not there are looked up every time. A change of this server's is known
    as soon as it is committed (`changed` has to be told), one of another server on the same database within
    FRESH_SECONDS."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, secrets: RootKey) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Credential]] = OrderedDict()
        self._changes = 0
        key = root_key.ensure(settings)
        arn = root_arn(settings.account)
        principal = Principal("root", settings.account, arn, settings.account, key.access_key)
        self._root = Credential(key.access_key, key.secret_key, principal)

    def changed(self, arns: Set[str]) -> None:
        """Of records that a commit replaced or deleted."""
        if generation.ARN in arns:
            with self._lock:
                self._changes += 1
                self._known.clear()

    def find(self, access_key: str) -> Credential | None:
        known = self._known.get(access_key)
        if known is not None and self._clock.monotonic() < known[0]:
            return known[1]
        return self.look(access_key)

    def look(self, access_key: str) -> Credential | None:
        """As it is now, whatever is remembered."""
        if access_key == self._root.access_key:
            return self._root
        now, changes = self._clock.monotonic(), self._changes
        found = self._database.read(lambda connection: self._read(connection, access_key))
        with self._lock:
            self._known.pop(access_key, None)
            if found is not None and changes == self._changes:  # else what was read may be old already
                self._known[access_key] = (now + FRESH_SECONDS, found)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return found

    def _read(self, connection: Connection, access_key: str) -> Credential | None:
        record = records.by_arn(connection, key_arn(access_key))
        if record is None:
            return find_session(connection, self._secrets, access_key)
        principal = _principal(connection, record) if record.kind == shapes.ACCESS_KEY else None
        if principal is None or record.status != "Active":
            return None
        secret = sealing.open_sealed(self._secrets, access_key, record.document["SealedSecret"])
        return Credential(access_key, secret, principal)


def _principal(connection: Connection, key: Record) -> Principal | None:
    """Whose the key is: the root's of an account, or a user's; None when the user is gone."""
    owner = key.parent or ""
    if owner == root_arn(key.account):
        return Principal("root", key.account, owner, key.account, str(key.name))
    user = records.by_arn(connection, owner)
    if user is None:
        return None
    return Principal("user", user.account, user.arn, user.document["UserId"], str(key.name))
