"""GenerateMac, VerifyMac, DeriveSharedSecret: what two who share something can work out."""

from __future__ import annotations

import hmac

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.kms import faults, grants, keys, material, usage
from clary.services.kms.asking import Asker
from clary.services.kms.specs import AGREE, MAC
from clary.services.operation import Call, Document, Operations
from clary.services.refusals import refuse
from clary.store.records import Record

operations = Operations()


@operations.handles("GenerateMac")
@usage.noted
def generate_mac(call: Call, given: Document) -> Document:
    record, mac = _mac(call, given)
    return {"KeyId": record.arn, "Mac": mac, "MacAlgorithm": given["MacAlgorithm"]}


@operations.handles("VerifyMac")
@usage.noted
def verify_mac(call: Call, given: Document) -> Document:
    record, mac = _mac(call, given)
    if not hmac.compare_digest(mac, given["Mac"]):
        raise ServiceError("KMSInvalidMacException", "")
    return {"KeyId": record.arn, "MacValid": True, "MacAlgorithm": given["MacAlgorithm"]}


def _mac(call: Call, given: Document) -> tuple[Record, bytes]:
    record = _key(call, given, MAC)
    algorithm = given["MacAlgorithm"]
    keys.require_algorithm(record, algorithm)
    grants.unless_dry(given)
    raw = material.unseal(call.platform.secrets, record, material.current(record))
    return record, hmac.digest(raw, given["Message"], f"sha{algorithm.rpartition('_')[2]}")


@operations.handles("DeriveSharedSecret")
@usage.noted
def derive_shared_secret(call: Call, given: Document) -> Document:
    refuse("DeriveSharedSecret", given, ("Recipient",))
    record = _key(call, given, AGREE)
    keys.require_algorithm(record, given["KeyAgreementAlgorithm"])
    grants.unless_dry(given)
    pair = material.key_pair(material.unseal(call.platform.secrets, record, material.current(record)))
    assert isinstance(pair, ec.EllipticCurvePrivateKey)
    secret = pair.exchange(ec.ECDH(), _public_key(given["PublicKey"], pair.curve))
    return {
        "KeyId": record.arn,
        "SharedSecret": secret,
        "KeyAgreementAlgorithm": given["KeyAgreementAlgorithm"],
        "KeyOrigin": record.document["Origin"],
    }


def _public_key(data: bytes, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """The other's key, on the same curve. Raises ValidationException."""
    try:
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise faults.invalid("") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve.name:
        raise faults.invalid("")
    return key


def _key(call: Call, given: Document, usage: str) -> Record:
    asker = Asker.of(call, given)

    def look(connection: Connection) -> Record:
        grants.require_tokens(call.platform, connection, given)
        return keys.usable(connection, asker, given["KeyId"], usage)

    return call.platform.stores.records.read(look)
