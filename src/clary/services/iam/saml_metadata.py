"""What an identity provider's SAML 2.0 metadata say: who it is, and which keys sign for it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from clary.services.iam import errors
from clary.wire import body_xml
from clary.wire.scalars import Malformed

_MOST_CERTIFICATES = 20
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Metadata:
    """`entity` is the issuer of its assertions; `certificates` are base64 of DER, without line breaks; `valid_until` is
    in epoch seconds, None when the metadata do not say."""

    entity: str
    certificates: list[str]
    valid_until: float | None


def read(text: str) -> Metadata:
    """Raises InvalidInput."""
    try:
        root = body_xml.loads(text.encode())
        until = root.get("validUntil")
        valid_until = None if until is None else moment(until)
    except (Malformed, ValueError):
        raise errors.bad_input("Could not parse metadata") from None
    entity, found = root.get("entityID"), list(dict.fromkeys(_certificates(root)))
    if body_xml.local_name(root.tag) != "EntityDescriptor" or not entity or not found:
        raise errors.bad_input("Could not parse metadata")
    if len(found) > _MOST_CERTIFICATES:
        raise errors.bad_input(f"The metadata hold more than {_MOST_CERTIFICATES} certificates for signing.")
    for each in found:
        _check(each)
    return Metadata(entity, found, valid_until)


def moment(text: str) -> float:
    """Epoch seconds of an xs:dateTime, which SAML has in UTC. Raises ValueError."""
    found = datetime.fromisoformat(text.strip())
    try:
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except OverflowError:
        raise ValueError(f"{text!r} is no time that could be told") from None


def _certificates(root: Element) -> Iterator[str]:
    """Of the keys that sign; a key without a use is for everything."""
    for key in root.findall("IDPSSODescriptor/KeyDescriptor"):
        if key.get("use", "signing") == "signing":
            for certificate in key.findall("KeyInfo/X509Data/X509Certificate"):
                yield "".join((certificate.text or "").split())


def _check(certificate: str) -> None:
    """Whether it has expired does not matter, as with AWS: it carries a key that the account trusts."""
    # Here and not above: only who has a provider pays for what reads certificates.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_der_x509_certificate

    try:
        key = load_der_x509_certificate(base64.b64decode(certificate, validate=True)).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise errors.bad_input("Could not parse metadata") from None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        raise errors.bad_input("A certificate for signing has neither an RSA key nor one on an elliptic curve.")
    if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        raise errors.bad_input(f"An RSA key for signing has at least {_LEAST_RSA_BITS} bits.")
