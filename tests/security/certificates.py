"""Certificates of the tests' own: an authority, servers good and bad, a client, another authority."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def make_all(directory: Path) -> None:
    """Write `NAME.pem` (certificate), `NAME.key` and for servers `NAME.bundle.pem` (what Kafka wants)."""
    ca = _make(directory, "ca", None)
    stranger = _make(directory, "stranger", None)
    _make(directory, "broker", ca, names=["localhost"], addresses=["127.0.0.1"])
    _make(directory, "expired", ca, names=["localhost"], addresses=["127.0.0.1"], ended=True)
    _make(directory, "elsewhere", ca, names=["kafka.example.org"])
    _make(directory, "client", ca)
    _make(directory, "foreign-client", stranger)
    for server in ("broker", "expired", "elsewhere"):
        parts = [directory / f"{server}.key", directory / f"{server}.pem", directory / "ca.pem"]
        (directory / f"{server}.bundle.pem").write_bytes(b"".join(part.read_bytes() for part in parts))


def _make(directory, name, issuer, *, names=(), addresses=(), ended=False):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = issuer or (subject, key)
    alternatives = [x509.DNSName(each) for each in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(NOW - DAY if ended else NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    (directory / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return subject, key
