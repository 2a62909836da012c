"""A SAML identity provider: its metadata, and responses that it signs."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import XMLSigner, methods

ENTITY = "https://idp.example.org/saml"
RECIPIENT = "https://signin.aws.amazon.com/saml"
ATTRIBUTES = "https://aws.amazon.com/SAML/Attributes/"
_SAML = "urn:oasis:names:tc:SAML:2.0"
_SIGNATURE_HERE = '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>'


def stamp(seconds: float = 0.0) -> str:
    """So many seconds from now, as SAML writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Said:
    """What an assertion says; each field has what is good."""

    attributes: Mapping[str, Sequence[str]]
    issuer: str = ENTITY
    subject: str = "somebody@example.org"
    audience: str = "urn:amazon:webservices"
    recipient: str = RECIPIENT
    issued: float = 0.0  # seconds from now, as the following
    begins: float = -30.0
    ends: float = 300.0
    session_ends: float = 8 * 3600.0
    id: str = field(default_factory=lambda: f"_{uuid.uuid4().hex}")

    def xml(self, signature: str = "") -> str:
        given = "".join(
            f"<saml:Attribute Name={quoteattr(name)}>"
            + "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in self.attributes.items()
        )
        return (
            f'<saml:Assertion xmlns:saml="{_SAML}:assertion" ID="{self.id}" Version="2.0" '
            f'IssueInstant="{stamp(self.issued)}"><saml:Issuer>{self.issuer}</saml:Issuer>{signature}'
            f'<saml:Subject><saml:NameID Format="{_SAML}:nameid-format:persistent">{self.subject}</saml:NameID>'
            f'<saml:SubjectConfirmation Method="{_SAML}:cm:bearer"><saml:SubjectConfirmationData '
            f'NotOnOrAfter="{stamp(self.ends)}" Recipient="{self.recipient}"/></saml:SubjectConfirmation>'
            f'</saml:Subject><saml:Conditions NotBefore="{stamp(self.begins)}" NotOnOrAfter="{stamp(self.ends)}">'
            f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
            f'</saml:Conditions><saml:AuthnStatement AuthnInstant="{stamp()}" '
            f'SessionNotOnOrAfter="{stamp(self.session_ends)}"/>'
            f"<saml:AttributeStatement>{given}</saml:AttributeStatement></saml:Assertion>"
        )


def response(inside: str, signature: str = "", status: str = "Success") -> str:
    """A response around assertions."""
    return (
        f'<samlp:Response xmlns:samlp="{_SAML}:protocol" ID="_{uuid.uuid4().hex}" Version="2.0" '
        f'IssueInstant="{stamp()}">{signature}<samlp:Status><samlp:StatusCode Value="{_SAML}:status:{status}"/>'
        f"</samlp:Status>{inside}</samlp:Response>"
    )


def encoded(document: str) -> str:
    return base64.b64encode(document.encode()).decode()


class IdentityProvider:
    """With a key of its own; `curve`: one on an elliptic curve. Its certificate expired years ago."""

    def __init__(self, *, curve: bool = False) -> None:
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, key_size=2048)
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example.org")])
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(datetime(2019, 1, 1, tzinfo=UTC))
        self.certificate = made.not_valid_after(datetime(2020, 1, 1, tzinfo=UTC)).sign(self.key, hashes.SHA256())
        self._algorithm = "ecdsa-sha256" if curve else "rsa-sha256"

    def metadata(self, until: str = "") -> str:
        data = base64.encodebytes(self.certificate.public_bytes(Encoding.DER)).decode()
        valid = f' validUntil="{until}"' if until else ""
        services = "".join(
            f'<md:SingleSignOnService Binding="{_SAML}:bindings:{binding}" Location="{ENTITY}/{binding}"/>'
            for binding in ("HTTP-POST", "HTTP-Redirect", "HTTP-Artifact", "SOAP")
        )
        return (
            f'<?xml version="1.0"?><md:EntityDescriptor xmlns:md="{_SAML}:metadata" entityID="{ENTITY}"{valid}>'
            f'<md:IDPSSODescriptor protocolSupportEnumeration="{_SAML}:protocol"><md:KeyDescriptor use="signing">'
            '<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>'
            f"{data}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>{services}"
            "</md:IDPSSODescriptor></md:EntityDescriptor>"
        )

    def signed(self, document: str, algorithm: str = "") -> str:
        """`document` (an element with an ID) with its signature at the place that is kept for it."""
        root = etree.fromstring(document.encode())
        signer = XMLSigner(
            method=methods.enveloped,
            signature_algorithm=algorithm or self._algorithm,
            c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
        )
        done = signer.sign(root, key=self.key, cert=[self.certificate], reference_uri=root.get("ID"), id_attribute="ID")
        return str(etree.tostring(done, encoding="unicode"))

    def assertion(self, said: Said, algorithm: str = "") -> str:
        """Signed."""
        return self.signed(said.xml(_SIGNATURE_HERE), algorithm)

    def answer(self, said: Said) -> str:
        """A response with a signed assertion, as clients send it."""
        return encoded(response(self.assertion(said)))

    def signed_response(self, said: Said) -> str:
        """A signed response with a plain assertion."""
        return encoded(self.signed(response(said.xml(), _SIGNATURE_HERE)))
