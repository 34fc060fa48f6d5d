"""The authority and its certificate: what they vouch for, that they hold together, when they are made anew."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from app.serve.addresses import host_names, lan_addresses, ranked
from app.serve.certificates import (
    AUTHORITY_FILE,
    SERVER_FILE,
    Identity,
    Names,
    ensure,
    make_authority,
    make_server,
    names_of,
    renewed,
    why_renew,
)
from core.errors import CampusError
from core.io.private_files import data_folder, read_private, write_private

NOW = datetime.now(timezone.utc)
NAMES = Names(("localhost", "campus-box", "campus-box.local"), ("192.168.7.20", "127.0.0.1", "::1"))


def test_the_certificate_vouches_for_names_and_addresses_and_phones_accept_its_life() -> None:
    leaf = make_server(make_authority(NAMES, NOW), NAMES, NOW).certificate
    assert names_of(leaf) == NAMES
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_authority_can_make_no_further_authority_and_its_fingerprint_is_what_phones_show() -> None:
    authority = make_authority(NAMES, NOW)
    limits = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert limits.ca
    assert limits.path_length == 0
    assert len(authority.fingerprint) == 32 * 3 - 1
    assert x509.load_der_x509_certificate(authority.der) == authority.certificate


def handshake(folder: Path, authority: Identity, server: Identity, name: str) -> None:
    """Meet `server` over TLS as `name`, trusting only `authority`. Raises ssl.SSLError where that fails."""
    (folder / "pair.pem").write_bytes(server.pem)
    offering = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offering.load_cert_chain(folder / "pair.pem")
    trusting = ssl.create_default_context(cadata=authority.der)
    ours, theirs = socket.socketpair()

    def offer() -> None:
        try:
            with offering.wrap_socket(theirs, server_side=True):
                pass
        except (ssl.SSLError, OSError):
            theirs.close()

    other_side = threading.Thread(target=offer)
    other_side.start()
    try:
        with trusting.wrap_socket(ours, server_hostname=name):
            pass
    finally:
        ours.close()
        other_side.join()


@pytest.mark.parametrize("name", [*NAMES.hosts, *NAMES.addresses])
def test_the_chain_verifies_under_every_name(tmp_path: Path, name: str) -> None:
    authority = make_authority(NAMES, NOW)
    handshake(tmp_path, authority, make_server(authority, NAMES, NOW), name)


@pytest.mark.parametrize("name", ["example.com", "box.local", "192.168.7.21"])
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    authority = make_authority(NAMES, NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(tmp_path, authority, make_server(authority, NAMES, NOW), name)


def test_a_stolen_authority_cannot_pose_as_a_website(tmp_path: Path) -> None:
    authority = make_authority(NAMES, NOW)
    forged = make_server(authority, Names(("www.example.com",), ()), NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(tmp_path, authority, forged, "www.example.com")


def test_any_later_address_is_within_what_the_authority_may_vouch_for(tmp_path: Path) -> None:
    authority = make_authority(NAMES, NOW)
    moved = Names(("localhost",), ("203.0.113.9", "fd00::7"))
    for address in moved.addresses:
        handshake(tmp_path, authority, make_server(authority, moved, NOW), address)


def test_when_it_is_made_anew() -> None:
    authority = make_authority(NAMES, NOW)
    leaf = make_server(authority, NAMES, NOW).certificate
    ca = authority.certificate
    assert why_renew(leaf, ca, NAMES, NOW) is None
    assert why_renew(leaf, ca, Names(("localhost",), ("127.0.0.1",)), NOW) is None, "fewer addresses are no reason"
    assert why_renew(leaf, ca, NAMES, NOW + timedelta(days=365)) is None
    assert "ends in less" in str(why_renew(leaf, ca, NAMES, NOW + timedelta(days=367)))
    assert "ends in less" in str(why_renew(leaf, ca, NAMES, NOW + timedelta(days=4000)))
    assert "not valid yet" in str(why_renew(leaf, ca, NAMES, NOW - timedelta(days=2)))
    assert "other addresses" in str(why_renew(leaf, ca, Names(("localhost",), ("10.0.0.1",)), NOW))
    # The same subject does not make it the same authority.
    twin = make_authority(NAMES, NOW)
    assert "another authority" in str(why_renew(leaf, twin.certificate, NAMES, NOW))


def test_files_are_private_and_kept_and_only_the_leaf_follows_the_addresses(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "keys"
    first, server = ensure(folder, NAMES, NOW)
    assert server == folder / SERVER_FILE
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in (AUTHORITY_FILE, SERVER_FILE):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    before = server.read_bytes()
    again, _ = ensure(folder, NAMES, NOW)
    assert again.der == first.der
    assert server.read_bytes() == before
    moved, _ = ensure(folder, Names(NAMES.hosts, ("10.0.0.1",)), NOW)
    assert moved.der == first.der
    assert server.read_bytes() != before
    assert sorted(path.name for path in folder.iterdir()) == [AUTHORITY_FILE, SERVER_FILE]


def test_a_host_name_that_the_kept_authority_may_not_vouch_for_is_left_out(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, NOW)
    renamed = Names(("localhost", "renamed"), NAMES.addresses)
    _, server = ensure(tmp_path, renamed, NOW)
    assert "renamed" not in names_of(x509.load_pem_x509_certificate(server.read_bytes())).hosts
    before = server.read_bytes()
    ensure(tmp_path, renamed, NOW)
    assert server.read_bytes() == before, "what can never be vouched for is no reason to renew"


def test_an_authority_that_would_end_before_its_leaf_is_replaced(tmp_path: Path) -> None:
    first, _ = ensure(tmp_path, NAMES, NOW)
    kept, _ = ensure(tmp_path, NAMES, NOW + timedelta(days=3200))
    replaced, _ = ensure(tmp_path, NAMES, NOW + timedelta(days=3400))
    assert kept.der == first.der
    assert replaced.der != first.der


@pytest.mark.parametrize("name", [AUTHORITY_FILE, SERVER_FILE])
@pytest.mark.parametrize("content", ["", "no key", "two pairs"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    ensure(tmp_path, NAMES, NOW)
    if content == "two pairs":
        one, other = make_authority(NAMES, NOW), make_authority(NAMES, NOW)
        content = Identity(one.certificate, other.key).pem.decode()
    (tmp_path / name).write_text(content)
    with pytest.raises(CampusError, match=rf"{name}: .*delete it"):
        ensure(tmp_path, NAMES, NOW)


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert read_private(path) is None
    write_private(path, b"one")
    path.chmod(0o644)
    assert read_private(path) == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_where_anyone_may_write_holds_no_keys(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(CampusError, match="chmod o-w"):
        write_private(folder / "secret", b"one")
    assert list(folder.iterdir()) == []
    (folder / "secret").write_bytes(b"planted")
    with pytest.raises(CampusError, match="chmod o-w"):
        read_private(folder / "secret")
    folder.chmod(0o1777)  # as /tmp is: only a file's owner may replace it there
    write_private(folder / "other", b"one")
    assert read_private(folder / "other") == b"one"


def test_a_file_of_another_user_is_not_taken_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(tmp_path / "secret", b"planted")
    monkeypatch.setattr("os.geteuid", lambda: (tmp_path / "secret").stat().st_uid + 1)
    with pytest.raises(CampusError, match="another user"):
        read_private(tmp_path / "secret")


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_secret_is_never_readable_by_others_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    former = os.umask(mask)
    try:
        write_private(tmp_path / "keys" / "secret", b"one")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "keys" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_the_folder_is_this_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "campus-gps"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / ".local/share/campus-gps"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], ()),
        (["127.0.0.1", "0.0.0.0"], ()),
        (["169.254.3.4", "10.0.0.7", "192.168.1.2", "10.0.0.7"], ("10.0.0.7", "192.168.1.2", "169.254.3.4")),
    ],
)
def test_addresses_are_ranked(found: list[str], expected: tuple[str, ...]) -> None:
    assert ranked(found) == expected


def test_this_machines_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "127.0.0.1" not in lan_addresses()
    monkeypatch.setattr(socket, "gethostname", lambda: "Lab-PC.campus.example.")
    assert host_names() == ("localhost", "lab-pc.campus.example", "lab-pc.local")
    monkeypatch.setattr(socket, "gethostname", lambda: "no_name in a certificate")
    assert host_names() == ("localhost",)


def test_an_authority_of_a_clock_that_ran_ahead_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ahead, _ = ensure(tmp_path, NAMES, NOW + timedelta(days=2000))
    assert "wrong clock" not in caplog.text
    right, server = ensure(tmp_path, NAMES, NOW)
    assert right.fingerprint != ahead.fingerprint
    assert "made under a wrong clock" in caplog.text
    leaf = x509.load_pem_x509_certificate(server.read_bytes())
    assert leaf.not_valid_before_utc <= NOW
    leaf.verify_directly_issued_by(right.certificate)


def test_a_clock_without_a_battery_takes_no_authority_from_phones(tmp_path: Path) -> None:
    made, _ = ensure(tmp_path, NAMES, datetime(1970, 1, 1, tzinfo=timezone.utc))
    assert made.certificate.not_valid_before_utc.year >= 2026
    assert ensure(tmp_path, NAMES, datetime(1970, 1, 2, tzinfo=timezone.utc))[0].fingerprint == made.fingerprint
    assert ensure(tmp_path, NAMES, NOW)[0].fingerprint == made.fingerprint


def test_a_running_server_s_certificate_is_made_anew_and_the_authority_stays(tmp_path: Path) -> None:
    authority, server = ensure(tmp_path, NAMES, NOW)
    assert not renewed(tmp_path, NAMES, NOW + timedelta(days=365))
    for now in (NOW + timedelta(days=370), NOW, NOW + timedelta(days=1500)):  # ahead, set right, years later
        assert renewed(tmp_path, NAMES, now)
        assert not renewed(tmp_path, NAMES, now)
        leaf = x509.load_pem_x509_certificate(server.read_bytes())
        assert leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc
        leaf.verify_directly_issued_by(authority.certificate)
    before = server.read_bytes()
    assert not renewed(tmp_path, NAMES, NOW + timedelta(days=20_000)), "a clock that is far ahead takes nothing away"
    assert server.read_bytes() == before
    server.unlink()
    with pytest.raises(CampusError, match="start the server again"):
        renewed(tmp_path, NAMES, NOW)


def test_a_secret_is_on_the_disk_before_it_is_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "secret", []

    def fsync(_: int) -> None:
        synced.append(path.exists())

    monkeypatch.setattr(os, "fsync", fsync)
    write_private(path, b"one")
    assert synced == [False]
    assert path.read_bytes() == b"one"
