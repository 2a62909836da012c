"""Clary's own certificate authority: one per home, and certificates for the names that Clary answers to.

The CA is made at the first start (`secrets/ca.pem`, `secrets/ca.key`, both P-256; the key 0600). It is constrained to
the names below, so a copy of its key is no key to the rest of the web. Server certificates live in memory only.
"""

from __future__ import annotations

import datetime
import fcntl
import ipaddress
import os
import re
import socket
import ssl
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ZONES = ("amazonaws.com", "amazonaws.com.cn", "localhost", "internal")
"""Names under these may be certified; the machine's own host name comes on top."""

_ADDRESSES = ("127.0.0.1", "::1")
# A wildcard of fewer than three labels makes the whole certificate malformed to some libraries (rustls).
_NAMES = ("localhost", "*.s3.localhost", "*.amazonaws.com", "*.s3.amazonaws.com", "*.amazonaws.com.cn")
_CA_LIFE = datetime.timedelta(days=3650)
_LIFE = datetime.timedelta(days=397)  # what strict clients accept at most for a server's certificate
_CLOCK_SLACK = datetime.timedelta(days=1)
_KEPT = 1024
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Authority:
    """The CA of one home. `open` makes it when there is none; several processes may call it at once."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.path = folder / "ca.pem"
        self.certificate = certificate
        self._key = key

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Reads `folder`/ca.pem and ca.key, made now if absent. Raises OSError, or ValueError for damaged files."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "ca.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "ca.pem").exists():
                _create(folder)
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError(f"{folder / 'ca.key'} is not the key of {folder / 'ca.pem'}: remove both to make new ones")
        return cls(folder, certificate, key)

    def issue(self, names: Iterable[str], public_key: ec.EllipticCurvePublicKey) -> bytes:
        """A server certificate in PEM for host names (wildcards allowed) and IP addresses; the first names it."""
        listed = list(names)
        # A common name holds 64 characters at most; clients look at the alternative names only.
        builder = _certificate(listed[0][:64], self.certificate.subject, public_key, _LIFE)
        alternatives = x509.SubjectAlternativeName([_general(name) for name in listed])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        built = (
            builder.add_extension(alternatives, critical=False)
            .add_extension(usage, critical=False)
            .add_extension(issuer, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def bundle(self, path: Path, environment: Mapping[str, str]) -> None:
        """Writes a file for AWS_CA_BUNDLE, SSL_CERT_FILE and REQUESTS_CA_BUNDLE: this CA and the client's usual roots,
        so other HTTPS goes on working."""
        own = self.path.read_bytes()
        mine = _PEM.findall(own)
        others = dict.fromkeys(each for file in usual_roots(environment) for each in _PEM.findall(file.read_bytes()))
        pieces = [own.strip(), *(each for each in others if each not in mine)]
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(b"\n".join(pieces) + b"\n")
        draft.replace(path)


class ServerContexts:
    """TLS contexts: `default` for Clary's own names; by SNI one for each further name under ZONES, made on the fly."""

    def __init__(self, authority: Authority, names: Iterable[str] = ()) -> None:
        self._authority = authority
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._zones = (*ZONES, *_own_names())
        self._by_name: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self.default = self._context((*_NAMES, *_ADDRESSES, *_own_names(), *names))
        self.default.sni_callback = self._choose

    def covers(self, host: str) -> bool:
        """Whether a certificate may be made for this name."""
        name = host.lower()
        if len(name) > 253 or not _HOST.fullmatch(name):
            return False
        return any(name == zone or name.endswith("." + zone) for zone in self._zones)

    def for_host(self, host: str) -> ssl.SSLContext:
        """The context whose certificate names `host`; the last 1024 are kept. The default one for names not covered."""
        name = host.lower()
        if not self.covers(name):
            return self.default
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = self._context((name,))
            if len(self._by_name) > _KEPT:
                self._by_name.popitem(last=False)
        self._by_name.move_to_end(name)
        return found

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name:
            connection.context = self.for_host(name)

    def _context(self, names: Iterable[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _load(context, self._authority.issue(names, self._key.public_key()), self._key)
        return context


def usual_roots(environment: Mapping[str, str]) -> list[Path]:
    """The files of roots that clients use here: what AWS's are told, and requests, beside what the others are (in the
    environment, by the system, or else botocore's)."""
    botocore = find_spec("botocore")
    shipped = str(Path(botocore.origin).with_name("cacert.pem")) if botocore and botocore.origin else None
    others = _files(environment.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, shipped)
    requests = environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE")
    return _files(environment.get("AWS_CA_BUNDLE"), requests) + others[:1]


def _files(*names: str | None) -> list[Path]:
    return [Path(each) for each in names if each and Path(each).is_file()]


def _load(context: ssl.SSLContext, certificate: bytes, key: ec.EllipticCurvePrivateKey) -> None:
    """The ssl module loads from files only; an anonymous one in memory keeps the key off the disk."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "wb") as file:
        file.write(certificate + private)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def _create(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Clary local CA ({socket.gethostname()})"[:64])])
    permitted = [x509.DNSName(zone) for zone in (*ZONES, *_own_names())]
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # signs certificates and CRLs
    certificate = (
        _certificate(name, name, key.public_key(), _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # The key first: a certificate on disk means that both are there.
    _write(folder / "ca.key", private, 0o600)
    _write(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _certificate(
    name: str | x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, life: datetime.timedelta
) -> x509.CertificateBuilder:
    subject = name if isinstance(name, x509.Name) else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + life)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _own_names() -> tuple[str, ...]:
    """This machine's host name, when it can stand in a certificate."""
    name = socket.gethostname().lower()
    return (name,) if _HOST.fullmatch(name) else ()


def _write(path: Path, data: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
