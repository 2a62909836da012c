"""Envelope encryption for this server's own services: data keys for objects, volumes, outputs.

A service asks on behalf of a principal. With its `caller` (`Call.caller`) it is decided here whether the principal may:
kms:GenerateDataKey and kms:Decrypt, with kms:ViaService and the encryption context as condition keys; without, it has
been decided before. Errors are KMS's own (AccessDeniedException, DisabledException, KMSInvalidStateException,
NotFoundException, InvalidKeyUsageException), which services translate into theirs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.context import Platform
from clary.services.kms import ciphertext, keys, managed
from clary.services.kms.asking import Asker
from clary.services.kms.encryption import named_by
from clary.services.kms.specs import ENCRYPT, SYMMETRIC

_BYTES = 32


def generate(
    platform: Platform,
    principal: Principal,
    key_id: str,
    context: Mapping[str, str],
    *,
    service: str = "s3",
    region: str = "",
    account: str = "",
    caller: Caller | None = None,
) -> tuple[bytes, bytes, str]:
    """(a new data key of 32 bytes, the blob that `unwrap` opens, the ARN of the key that encrypts it).

    `key_id` is a key's or an alias's id or ARN; `alias/aws/<service>` makes the AWS managed key when it is not there
    yet. It is looked up in `account` and `region`, by default those of the principal and of this server. `service` is
    who asks. Raises ServiceError."""
    where, owner = region or platform.settings.region, account or principal.account
    asker = Asker(principal, owner, where, "GenerateDataKey", platform.clock.now(), caller, service, context=context)
    managed.ensure(platform, asker.account, asker.region, key_id)
    record = platform.stores.records.read(lambda connection: keys.usable(connection, asker, key_id, ENCRYPT))
    keys.require_algorithm(record, SYMMETRIC)
    plaintext = os.urandom(_BYTES)
    return plaintext, ciphertext.encrypt(platform.secrets, record, plaintext, context), record.arn


def unwrap(
    platform: Platform,
    principal: Principal,
    blob: bytes,
    context: Mapping[str, str],
    *,
    service: str = "s3",
    region: str = "",
    account: str = "",
    caller: Caller | None = None,
) -> bytes:
    """The data key. `context` has to be the one that it was generated with. Raises ServiceError; a blob that was
    changed, or has another context, raises InvalidCiphertextException."""
    where, owner = region or platform.settings.region, account or principal.account
    asker = Asker(principal, owner, where, "Decrypt", platform.clock.now(), caller, service, context=context)
    read = ciphertext.read(blob)
    record = platform.stores.records.read(lambda connection: named_by(connection, asker, read))
    return ciphertext.decrypt(platform.secrets, record, read, context)
