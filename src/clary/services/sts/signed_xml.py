"""Signatures in SAML responses. What is returned is parsed from the bytes that were signed, and from nothing else: what
stands beside them, around them or under another's signature has no way in.

signxml, and lxml under it, are an extra (`clary[saml]`), imported when the first assertion comes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from clary.wire import body_xml
from clary.wire.scalars import Malformed

ASSERTION = "{urn:oasis:names:tc:SAML:2.0:assertion}"
_PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_METHOD = re.compile(r"(RSA|ECDSA)_SHA(256|384|512)|SHA(256|384|512)_RSA_MGF1")  # names of signxml's
_MOST_NAMESPACES = 64  # declared around one element
_DIGESTS = ("SHA256", "SHA384", "SHA512")


class NotInstalled(Exception):
    """The libraries that read signatures are not there."""


class InvalidResponse(Exception):
    """No response with one assertion; the message says why."""


class InvalidSignature(Exception):
    """No key of the provider's made the signature, or it is none that counts."""


class Encrypted(Exception):
    """The assertion is encrypted."""


def assertion(document: bytes, certificates: Sequence[str]) -> Element:
    """The one assertion of the SAML response `document`, signed itself or with its response by a key of `certificates`
    (base64 of DER). Raises NotInstalled, InvalidResponse, InvalidSignature and Encrypted."""
    try:
        import signxml  # noqa: F401 - an extra, and heavy
    except ImportError:
        raise NotInstalled from None
    response = _response(document)
    found = response.findall(f"{ASSERTION}Assertion")
    if response.find(f"{ASSERTION}EncryptedAssertion") is not None:
        raise Encrypted
    if len(found) != 1:
        raise InvalidResponse("a response has one assertion")
    if response.find(_SIGNATURE) is None:
        return _signed(found[0], certificates)
    return _only_assertion(_signed(response, certificates))


def _response(document: bytes) -> Any:
    """As lxml parses it: what is canonical is said of its trees."""
    from lxml import etree

    try:
        body_xml.loads(document)  # refuses document types, and what they would blow up
        _check_namespaces(document)
        # Comments stay: whether they were signed depends on the signature.
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        root = etree.fromstring(document, parser)
    except (Malformed, etree.XMLSyntaxError, ValueError):
        raise InvalidResponse("not well-formed") from None
    if root.getroottree().docinfo.doctype or root.tag != f"{_PROTOCOL}Response":
        raise InvalidResponse("not a response")
    status = root.find(f"{_PROTOCOL}Status/{_PROTOCOL}StatusCode")
    if status is None or status.get("Value") != _SUCCESS:
        raise InvalidResponse("it does not tell of a success")
    return root


def _check_namespaces(document: bytes) -> None:
    """To make a document canonical takes, for each element, the square of the namespaces around it; and that is done
    before anything is proven. Raises InvalidResponse."""
    parser: Any = ElementTree.XMLPullParser(("start-ns", "end-ns"))
    around = 0
    parser.feed(document)
    for event in parser.read_events():
        around += 1 if event[0] == "start-ns" else -1
        if around > _MOST_NAMESPACES:
            raise InvalidResponse("too many namespaces")


def _only_assertion(response: Element) -> Element:
    found = response.findall(f"{ASSERTION}Assertion")
    if len(found) != 1:
        raise InvalidResponse("a response has one assertion")
    return found[0]


def _signed(element: Any, certificates: Sequence[str]) -> Element:
    """`element` (of lxml), as its own signature covers it. It is looked at alone, as a document of its own, so that a
    reference can lead nowhere else."""
    from lxml import etree

    alone = etree.tostring(element, with_tail=False)
    for data in _verified(alone, certificates):
        # This parser leaves out comments and joins the text around them.
        signed = ElementTree.fromstring(data)
        if signed.tag == element.tag and signed.get("ID") and signed.get("ID") == element.get("ID"):
            return signed
    raise InvalidSignature


def _verified(document: bytes, certificates: Sequence[str]) -> Iterator[bytes]:
    """The bytes that the signature right under the root covers, for each key that made it."""
    from cryptography.x509 import load_der_x509_certificate
    from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLVerifier

    methods = [each for each in SignatureMethod if _METHOD.fullmatch(each.name)]
    digests = [each for each in DigestAlgorithm if each.name in _DIGESTS]
    for each in certificates:
        certificate = load_der_x509_certificate(base64.b64decode(each))
        wanted = SignatureConfiguration(
            location="./",
            signature_methods=frozenset(methods),
            digest_algorithms=frozenset(digests),
            # The account trusts the key; for how long its certificate is good does not matter, as with AWS.
            verification_time=certificate.not_valid_before_utc,
        )
        try:
            result = XMLVerifier().verify(document, x509_cert=certificate, id_attribute="ID", expect_config=wanted)
        except Exception:  # whatever it stumbled over: by this key nothing is proven
            continue
        yield result.signed_data
