"""A small certificate authority of this machine's own, and the certificate that https is served with.

The authority is made once and kept, since people install it on their phones. It can vouch for addresses and for
this machine's names only (name constraints, RFC 5280 section 4.2.1.10): whoever steals it cannot pose as a website.
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.errors import CampusError
from core.io.private_files import read_private, write_private

log = logging.getLogger(__name__)

AUTHORITY_FILE, SERVER_FILE = "ca.pem", "server.pem"
AUTHORITY_DAYS = 3650
LEAF_DAYS = 397  # phones distrust a server's certificate that lives longer
RENEW_DAYS = 30
PROGRAM_DATE = datetime(2026, 6, 1, tzinfo=timezone.utc)  # no right clock is behind it
_SKEW = timedelta(days=1)  # a phone's clock may be behind


@dataclass(frozen=True)
class Names:
    """What a certificate vouches for: host names, and addresses as text."""

    hosts: tuple[str, ...]
    addresses: tuple[str, ...]

    def __sub__(self, other: Names) -> Names:
        return Names(
            tuple(name for name in self.hosts if name not in other.hosts),
            tuple(address for address in self.addresses if address not in other.addresses),
        )

    def __bool__(self) -> bool:
        return bool(self.hosts or self.addresses)


@dataclass(frozen=True)
class Identity:
    """A certificate and its private key (P-256, which every phone takes)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """Key and certificate in one file, so that no reader ever sees halves of two pairs."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate alone, as phones install it."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as phones show it: `3A:0F:…`."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def ensure(folder: Path, names: Names, now: datetime | None = None) -> tuple[Identity, Path]:
    """The kept authority, and the file with a server certificate for `names`; made or renewed where needed.

    A host name that the authority may not vouch for (the machine was renamed) is left out: phones use the address.
    Raises CampusError for a file that holds something else, OSError where the folder cannot be used.
    """
    # A clock that went back to 1970, as where no battery keeps it, is no reason to replace what phones trust.
    now = max(now or datetime.now(timezone.utc), PROGRAM_DATE)
    authority = _read(folder / AUTHORITY_FILE)
    if authority is not None and authority.certificate.not_valid_before_utc > now:
        log.warning("the certificate authority was made under a wrong clock: another is made, to be installed again")
        authority = None
    if authority is None or authority.certificate.not_valid_after_utc - now < timedelta(days=LEAF_DAYS):
        authority = make_authority(names, now)
        write_private(folder / AUTHORITY_FILE, authority.pem)
    names = Names(tuple(name for name in names.hosts if may_vouch(authority.certificate, name)), names.addresses)
    server = _read(folder / SERVER_FILE)
    if server is None or why_renew(server.certificate, authority.certificate, names, now):
        write_private(folder / SERVER_FILE, make_server(authority, names, now).pem)
    return authority, folder / SERVER_FILE


def renewed(folder: Path, names: Names, now: datetime | None = None) -> bool:
    """Make a running server's certificate anew where it is due; whether it was. The authority, known to phones, stays.

    Raises CampusError and OSError as `ensure` does.
    """
    now = max(now or datetime.now(timezone.utc), PROGRAM_DATE)
    authority, server = _read(folder / AUTHORITY_FILE), _read(folder / SERVER_FILE)
    if authority is None or server is None:
        raise CampusError(f"{folder}: the certificate's files are gone: start the server again")
    ca = authority.certificate
    if not ca.not_valid_before_utc <= now <= ca.not_valid_after_utc - timedelta(days=LEAF_DAYS):
        return False  # a clock that is wrong, or a start that `ensure` will see
    names = Names(tuple(name for name in names.hosts if may_vouch(ca, name)), names.addresses)
    if why_renew(server.certificate, ca, names, now) is None:
        return False
    write_private(folder / SERVER_FILE, make_server(authority, names, now).pem)
    return True


def why_renew(leaf: x509.Certificate, authority: x509.Certificate, names: Names, now: datetime) -> str | None:
    """Why the server's certificate must be made anew, or None. One that names former addresses too is no reason."""
    if leaf.issuer != authority.subject or not _signed_by(leaf, authority):
        return "it is of another authority"
    if leaf.not_valid_after_utc - now < timedelta(days=RENEW_DAYS):
        return f"it ends in less than {RENEW_DAYS} days"
    if leaf.not_valid_before_utc > now:
        return "it is not valid yet"
    if names - names_of(leaf):
        return "this machine has other addresses"
    return None


def names_of(leaf: x509.Certificate) -> Names:
    """What a server's certificate vouches for."""
    listed = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = listed.get_values_for_type(x509.IPAddress)
    return Names(tuple(listed.get_values_for_type(x509.DNSName)), tuple(str(address) for address in addresses))


def may_vouch(authority: x509.Certificate, host: str) -> bool:
    """Whether the authority's constraints, where it has any, permit a host name."""
    try:
        permitted = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    except x509.ExtensionNotFound:
        return True
    roots = [tree.value for tree in permitted if isinstance(tree, x509.DNSName)]
    return any(host == root or host.endswith(f".{root}") for root in roots)


def make_authority(names: Names, now: datetime) -> Identity:
    """A new authority for any address and for these host names."""
    key = ec.generate_private_key(ec.SECP256R1())
    host = next((name for name in names.hosts if name != "localhost"), "localhost")
    # The number tells two machines of one name apart in a phone's list.
    title = f"Campus GPS on {host[:32]} ({x509.random_serial_number() % 10000:04d})"
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Campus GPS"), x509.NameAttribute(NameOID.COMMON_NAME, title)]
    )
    everywhere = [x509.IPAddress(ipaddress.ip_network(net)) for net in ("0.0.0.0/0", "::/0")]
    permitted: list[x509.GeneralName] = [*(x509.DNSName(name) for name in names.hosts), *everywhere]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now - _SKEW + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Identity(certificate, key)


def make_server(authority: Identity, names: Names, now: datetime) -> Identity:
    """A certificate for https under these names, signed by the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    listed: list[x509.GeneralName] = [x509.DNSName(name) for name in names.hosts]
    listed += [x509.IPAddress(ipaddress.ip_address(address)) for address in names.addresses]
    issuer_key = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Campus GPS")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now - _SKEW + timedelta(days=LEAF_DAYS))
        .add_extension(x509.SubjectAlternativeName(listed), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Identity(certificate, key)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _read(path: Path) -> Identity | None:
    """The pair in a file, None where there is no file. Raises CampusError for anything else in it."""
    data = read_private(path)
    if data is None:
        return None
    try:
        key = serialization.load_pem_private_key(data, password=None)
        certificate = x509.load_pem_x509_certificate(data)
        matches = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    except (ValueError, TypeError) as error:
        raise CampusError("not a key and a certificate", path=path, remedy="delete it and another is made") from error
    if not matches or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CampusError(
            "its key and certificate do not belong together", path=path, remedy="delete it and another is made"
        )
    return Identity(certificate, key)
