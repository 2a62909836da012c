"""The key that signs messages, and the certificate with which whoever gets one checks that.

Both are made at first use and kept with the records, the key sealed; the certificate is served to everybody under the
path that `SigningCertURL` names.
"""

from __future__ import annotations

import base64
import datetime
import hashlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sqlalchemy.engine import Connection

from clary.context import Platform
from clary.services.operation import Document
from clary.store import records
from clary.store.records import NameTaken, Record

_ARN, _KIND, _CONTEXT = "clary:sns-signing-key", "sns-signing-key", b"sns signing key"
PREFIX = "/SimpleNotificationService-"
_NAME = "sns.amazonaws.com"
_BITS = 2048
_LIFE = datetime.timedelta(days=3650)
_CLOCK_SLACK = datetime.timedelta(days=1)


class Signer:
    """Signs as SNS does, in either of its versions. `path` is where the certificate is served."""

    def __init__(self, key: rsa.RSAPrivateKey, certificate: bytes) -> None:
        self._key = key
        self.path = path_of(certificate)

    @classmethod
    def of(cls, platform: Platform) -> Signer:
        """The server's. Raises SealBroken when the records are another root key's."""
        kept = platform.stores.records.read(_kept) or _make(platform)
        private = platform.secrets.open(base64.b64decode(kept["Key"]), _CONTEXT)
        key = serialization.load_der_private_key(private, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return cls(key, kept["Certificate"].encode())

    def sign(self, text: str, version: str) -> str:
        """Version "1" hashes with SHA-1, "2" with SHA-256."""
        used = hashes.SHA1() if version == "1" else hashes.SHA256()
        return base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), used)).decode()


def path_of(certificate: bytes) -> str:
    return f"{PREFIX}{hashlib.sha256(certificate).hexdigest()[:32]}.pem"


def certificate(platform: Platform) -> bytes | None:
    """In PEM; None as long as nothing was signed."""
    kept = platform.stores.records.read(_kept)
    return None if kept is None else bytes(kept["Certificate"].encode())


def _kept(connection: Connection) -> Document | None:
    found = records.by_arn(connection, _ARN)
    return None if found is None else found.document


def _make(platform: Platform) -> Document:
    key = rsa.generate_private_key(65_537, _BITS)
    encoding, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(encoding, form, serialization.NoEncryption())
    sealed = base64.b64encode(platform.secrets.seal(private, _CONTEXT)).decode()
    document = {"Key": sealed, "Certificate": _certified(key).decode()}

    def commit(connection: Connection) -> Document:
        try:
            records.insert(connection, Record(_KIND, "", "", _ARN, None, "", 0.0, 0.0, document))
        except NameTaken:  # somebody else was first
            return _kept(connection) or document
        return document

    return platform.stores.records.write(commit)


def _certified(key: rsa.RSAPrivateKey) -> bytes:
    from cryptography import x509  # once in a home's life; a megabyte
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
