"""A CA of a test's own, and certificates that it signs."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
DAY = timedelta(days=1)
SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    def server(self, *, clients: "Authority | None" = None) -> ssl.SSLContext:
        """A server's context; with `clients` it demands a certificate that they have signed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.path)
        return context


@dataclass(frozen=True)
class Authority:
    """A CA; its files and those that it issues are in `folder`."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def named(cls, name: str, folder: Path) -> Self:
        """A new CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        ca = x509.BasicConstraints(ca=True, path_length=None)
        built = _certificate(name, name, key).add_extension(ca, critical=True)
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        built = built.add_extension(SIGNS_CERTIFICATES, critical=True)
        authority = cls(folder, name, key, built.sign(key, hashes.SHA256()))
        authority.path.write_bytes(authority.certificate.public_bytes(PEM))
        return authority

    @property
    def path(self) -> Path:
        """Its certificate."""
        return self.folder / f"{self.name}.pem"

    def issue(
        self, name: str, *, host: str = "127.0.0.1", age: timedelta = DAY, password: str = "", identified: bool = False
    ) -> Issued:
        """A certificate for a host, by name or by address, that is valid for two days and was made `age` ago.

        Unless it is `identified`, it does not name the CA's key: many private CAs leave that out.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.DNSName(host) if host[-1].isalpha() else x509.IPAddress(ip_address(host))
        names = x509.SubjectAlternativeName([subject])
        built = _certificate(name, self.name, key, age).add_extension(names, critical=False)
        if identified:
            of_ca = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            built = built.add_extension(of_ca, critical=False)
        issued = Issued(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        issued.certificate.write_bytes(built.sign(self.key, hashes.SHA256()).public_bytes(PEM))
        how = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        issued.key.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, how))
        return issued


def _certificate(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, age: timedelta = DAY
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - age
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + 2 * DAY)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
