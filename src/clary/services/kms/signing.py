"""Sign, Verify, GetPublicKey."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.kms import faults, grants, keys, material, usage
from clary.services.kms.asking import Asker
from clary.services.kms.specs import MEMBERS, SIGN, hash_of
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

operations = Operations()

_DIGEST = "DIGEST"


@operations.handles("Sign")
@usage.noted
def sign(call: Call, given: Document) -> Document:
    record = _key(call, given)
    grants.unless_dry(given)
    pair = material.key_pair(material.unseal(call.platform.secrets, record, material.current(record)))
    algorithm, message = given["SigningAlgorithm"], given["Message"]
    match pair:
        case rsa.RSAPrivateKey():
            signature = pair.sign(message, _padding(algorithm), _hash(given))
        case ec.EllipticCurvePrivateKey():
            signature = pair.sign(message, ec.ECDSA(_hash(given)))
        case ed25519.Ed25519PrivateKey():
            signature = pair.sign(message)
    return {"KeyId": record.arn, "Signature": signature, "SigningAlgorithm": algorithm}


@operations.handles("Verify")
@usage.noted
def verify(call: Call, given: Document) -> Document:
    record = _key(call, given)
    grants.unless_dry(given)
    key = load_der_public_key(material.public(record))
    algorithm, message, signature = given["SigningAlgorithm"], given["Message"], given["Signature"]
    try:
        match key:
            case rsa.RSAPublicKey():
                key.verify(signature, message, _padding(algorithm), _hash(given))
            case ec.EllipticCurvePublicKey():
                key.verify(signature, message, ec.ECDSA(_hash(given)))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, message)
    except InvalidSignature:
        raise ServiceError("KMSInvalidSignatureException", "") from None
    return {"KeyId": record.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


@operations.handles("GetPublicKey")
def get_public_key(call: Call, given: Document) -> Document:
    asker = Asker.of(call, given)

    def look(connection: Connection) -> Record:
        grants.require_tokens(call.platform, connection, given)
        found = keys.require_customers(keys.find(connection, asker, given["KeyId"], aliases=True), asker)
        return keys.require_state(found, keys.ENABLED)

    record = call.platform.stores.records.read(look)
    spec, usage = keys.spec(record), record.document["KeyUsage"]
    if spec.family in ("symmetric", "hmac"):
        raise faults.unsupported(f"{record.arn} has no public key.")
    answer = {"KeyId": record.arn, "PublicKey": material.public(record), "KeyUsage": usage}
    return answer | {
        "KeySpec": spec.name,
        "CustomerMasterKeySpec": spec.name,
        MEMBERS[usage]: list(spec.algorithms[usage]),
    }


def _key(call: Call, given: Document) -> Record:
    """Raises ServiceError, also for a message that does not go with the algorithm."""
    asker, algorithm = Asker.of(call, given), given["SigningAlgorithm"]

    def look(connection: Connection) -> Record:
        grants.require_tokens(call.platform, connection, given)
        return keys.usable(connection, asker, given["KeyId"], SIGN)

    record = call.platform.stores.records.read(look)
    spec = keys.require_algorithm(record, algorithm)
    kind = given.get("MessageType", "RAW")
    if kind == "EXTERNAL_MU" or (kind == _DIGEST and spec.family == "edwards"):
        raise faults.invalid(f"MessageType {kind} is not supported with the {algorithm} algorithm.")
    if kind == _DIGEST and len(given["Message"]) != hash_of(algorithm).digest_size:
        raise faults.invalid(f"Digest is invalid length for algorithm {algorithm}.")
    return record


def _hash(given: Document) -> hashes.HashAlgorithm | utils.Prehashed:
    found = hash_of(given["SigningAlgorithm"])
    return utils.Prehashed(found) if given.get("MessageType") == _DIGEST else found


def _padding(algorithm: str) -> padding.AsymmetricPadding:
    if "_PSS_" not in algorithm:
        return padding.PKCS1v15()
    found = hash_of(algorithm)
    return padding.PSS(padding.MGF1(found), found.digest_size)
