"""Envelope encryption for this server's own services: data keys for objects, volumes, outputs.

A service asks on behalf of a principal. With its `caller` (`Call.caller`) it is decided here whether the principal may:
kms:GenerateDataKey and kms:Decrypt, with kms:ViaService and the encryption context as condition keys; without, it has
been decided before. Errors are KMS's own (AccessDeniedException, DisabledException, KMSInvalidStateException,
NotFoundException, InvalidKeyUsageException), which services translate into theirs.

A `kept` data key is one for many things: it is made and opened once in `clary.secrets.kept.SECONDS`, as S3's bucket
keys are. Its KMS key has to be usable, and the principal allowed to use it, each time nevertheless.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.context import Platform
from clary.secrets import DataKey
from clary.services.kms import ciphertext, keys, managed, managed_names, material, usage
from clary.services.kms.asking import Asker
from clary.services.kms.encryption import named_by
from clary.services.kms.specs import ENCRYPT, SYMMETRIC

_BYTES = 32


@dataclass(frozen=True, slots=True)
class Behalf:
    """On whose behalf a service asks, and where keys are looked up: by default in the principal's account and this
    server's region."""

    platform: Platform
    principal: Principal
    caller: Caller | None = None
    service: str = "s3"
    region: str = ""
    account: str = ""

    def asker(self, operation: str, context: Mapping[str, str]) -> Asker:
        where, owner = self.region or self.platform.settings.region, self.account or self.principal.account
        now = self.platform.clock.now()
        return Asker(self.principal, owner, where, operation, now, self.caller, self.service, context=context)


def generate(behalf: Behalf, key_id: str, context: Mapping[str, str], *, kept: bool = False) -> tuple[DataKey, str]:
    """(a data key of 32 bytes, whose `sealed` form `unwrap` opens; the ARN of the KMS key that encrypts it).

    `key_id` is a key's or an alias's id or ARN; `alias/aws/<service>` makes the AWS managed key when it is not there
    yet. Raises ServiceError."""
    platform, asker = behalf.platform, behalf.asker("GenerateDataKey", context)
    managed.ensure(platform, asker.account, asker.region, key_id)
    record = platform.stores.records.read(lambda connection: keys.usable(connection, asker, key_id, ENCRYPT))
    keys.require_algorithm(record, SYMMETRIC)

    def made() -> DataKey:
        plaintext = os.urandom(_BYTES)
        sealed = ciphertext.encrypt(platform.secrets, record, plaintext, context)
        usage.note(platform, record.arn, asker.operation)
        return DataKey(plaintext, sealed)

    if not kept:
        return made(), record.arn
    name = (record.arn, material.current(record)["Id"], ciphertext.bound(context))
    return platform.data_keys.get(name, platform.clock.monotonic(), made), record.arn


def require_usable(connection: Connection, behalf: Behalf, key_id: str) -> None:
    """That `generate` has a key there to work with; whether the principal may use it is asked when he does. Raises
    ServiceError. Of a key of another account nothing is said."""
    asker = behalf.asker("GenerateDataKey", {})
    if managed_names.service_of(key_id) is None and keys.owner(asker, key_id) == asker.account:
        keys.require_algorithm(keys.usable(connection, asker, key_id, ENCRYPT), SYMMETRIC)


def unwrap(behalf: Behalf, sealed: bytes, context: Mapping[str, str], *, kept: bool = False) -> bytes:
    """The data key. `context` has to be the one that it was generated with. Raises ServiceError; a sealed key that was
    changed, or has another context, raises InvalidCiphertextException."""
    platform, asker = behalf.platform, behalf.asker("Decrypt", context)
    read = ciphertext.read(sealed)
    record = platform.stores.records.read(lambda connection: named_by(connection, asker, read))

    def opened() -> DataKey:
        plaintext = ciphertext.decrypt(platform.secrets, record, read, context)
        usage.note(platform, record.arn, asker.operation)
        return DataKey(plaintext, sealed)

    if not kept:
        return opened().plaintext
    name = (sealed, ciphertext.bound(context))
    return platform.data_keys.get(name, platform.clock.monotonic(), opened).plaintext
