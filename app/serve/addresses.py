"""The names and addresses by which phones on the local network reach this machine; nothing is sent to find them."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
# An address of no one (RFC 5737): connecting a datagram socket sends nothing and only asks for the way there.
_ELSEWHERE = ("192.0.2.1", 9)


def host_names() -> tuple[str, ...]:
    """localhost, this machine's name and its name in multicast DNS, as far as they can stand in a certificate."""
    name = socket.gethostname().lower().rstrip(".")
    short = name.partition(".")[0]
    names = ("localhost", name, f"{short}.local")
    return tuple(dict.fromkeys(name for name in names if len(name) <= 253 and _NAME.fullmatch(name)))


def lan_addresses() -> tuple[str, ...]:
    """This machine's IPv4 addresses, the one phones most likely reach first; never loopback."""
    found = [*_towards_elsewhere(), *(_of_interfaces() if sys.platform == "linux" else _of_own_name())]
    return ranked(found)


def ranked(found: list[str]) -> tuple[str, ...]:
    """Without repeats and loopback; link-local addresses, which few phones reach, last.

    >>> ranked(["127.0.0.1", "169.254.3.4", "10.0.0.7", "10.0.0.7"])
    ('10.0.0.7', '169.254.3.4')
    """
    parsed = [ipaddress.ip_address(text) for text in dict.fromkeys(found)]
    usable = [address for address in parsed if not address.is_loopback and not address.is_unspecified]
    return tuple(str(address) for address in sorted(usable, key=lambda address: address.is_link_local))


def _towards_elsewhere() -> list[str]:
    """The address that the default route leaves by; none where there is no such route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def _of_interfaces() -> list[str]:
    """Each interface's address: a machine that is itself the hotspot has no default route to ask."""
    import fcntl
    import struct

    siocgifaddr = 0x8915
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe.fileno(), siocgifaddr, struct.pack("256s", name.encode()[:15]))
            except OSError:  # an interface without an IPv4 address
                continue
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _of_own_name() -> list[str]:
    try:
        answers = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return []
    return [str(answer[4][0]) for answer in answers]


def counted_as(host: str) -> str:
    """Whom to count an address as: an IPv4 address, or an IPv6 network of 64 bits, in which one client has all."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
