"""Which root key a store belongs to, so that another one is told at the start and not by secrets that do not open."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.secrets.root_key import RootKey
from clary.store import records
from clary.store.engine import Database
from clary.store.records import Record

_KIND, _ARN = "root-key", "clary:root-key"


class WrongRootKey(Exception):
    """The store's secrets are sealed under another root key than the one that this server was given."""


def recognise(database: Database, key: RootKey) -> None:
    """Notes the key at the first start; later ones raise WrongRootKey when it is another."""

    def work(connection: Connection) -> str:
        known = records.by_arn(connection, _ARN)
        if known is not None:
            return str(known.document["Fingerprint"])
        document = {"Fingerprint": key.fingerprint()}
        records.insert(connection, Record(_KIND, "", "", _ARN, None, "", 0.0, 0.0, document))
        return key.fingerprint()

    if database.write(work) != key.fingerprint():
        raise WrongRootKey(
            "The secrets of this home are sealed under another root key. Give back its secrets/root.key (or the "
            "CLARY_ROOT_KEY or CLARY_ROOT_PASSPHRASE_FILE that it was used with): without it they cannot be read."
        )
