"""Open the field app to phones on the local network: https, a QR code, and a key without which it stays locked."""

from __future__ import annotations

import argparse
import errno
import io
import ipaddress
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import segno
from starlette.types import ASGIApp

from app.collect.inbox import process_inbox
from app.collect.web import collect_routes
from app.gate import process_gate
from app.serve.access import KEY_PARAMETER, access_key
from app.serve.addresses import host_names, lan_addresses
from app.serve.api.application import Service, api_app
from app.serve.api.walks import Walks
from app.serve.api.workers import LocateWorkers
from app.serve.certificates import Names, ensure, renewed
from app.serve.connections import KEEP_ALIVE_S, Connections, GuardedServer, LineAMinute, room_for_connections
from app.serve.watched_server import WatchedServer
from app.serve.web import INSTALL_PATH, Site, field_app, redirect_app
from app.settings import Settings, give, settings
from core.campus.bundle import Bundle
from core.cli.log_lines import add_log_argument, in_json, use_log
from core.cli.service_manager import ServiceManager, stops_as_by_ctrl_c
from core.errors import CampusError
from core.io.files import check_writable
from core.io.private_files import data_folder
from core.locate.localizer import DEMO_BUNDLE
from core.photo.blur.blur import process_blur
from core.photo.blur.models import REQUIREMENTS

log = logging.getLogger(__name__)

HTTPS_PORT, HTTP_PORT = 8443, 8080
EVERY_ADDRESS = "0.0.0.0"
_BACKLOG = 256
# Of TLS 1.2: only those with forward secrecy and authenticated encryption, as all of TLS 1.3's are. No CBC.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=Path, metavar="BUNDLE", help="campus to open with (default: $CAMPUS_BUNDLE, else the demo)"
    )
    parser.add_argument("--host", default=EVERY_ADDRESS, help="address to listen on (default: all, %(default)s)")
    parser.add_argument("--port", type=_port, default=HTTPS_PORT, help="https port, 0 for a free one (%(default)s)")
    parser.add_argument(
        "--http-port", type=_port, default=HTTP_PORT, help="http port, which leads to https (%(default)s)"
    )
    parser.add_argument(
        "--certs", type=Path, metavar="DIR", help=f"folder for certificates and key (default: {data_folder()})"
    )
    parser.add_argument(
        "--keep-photos",
        type=Path,
        metavar="DIR",
        help="keep each located photo and its fix in DIR; the page says so (default: photos stay in memory)",
    )
    parser.add_argument(
        "--name-zones", action="store_true", help="visitors may name zones, which changes the bundle on disk"
    )
    parser.add_argument(
        "--blur",
        action="store_true",
        help=f"paint faces and number plates over in every photo that is stored (needs {REQUIREMENTS})",
    )
    inbox = parser.add_mutually_exclusive_group()
    inbox.add_argument(
        "--inbox",
        type=Path,
        metavar="DIR",
        help=f"folder for photos that visitors send on purpose (default: $CAMPUS_INBOX, else {data_folder()}/inbox)",
    )
    inbox.add_argument("--no-inbox", action="store_true", help="take no photos: no Collect page, no corrections")
    parser.add_argument(
        "--workers",
        type=_workers,
        default=max(1, min(os.cpu_count() or 1, 4)),
        metavar="N",
        help="processes that locate photos for the HTTP interface, started with its first photo (%(default)s)",
    )
    add_log_argument(parser)
    lock = parser.add_mutually_exclusive_group()
    lock.add_argument("--new-key", action="store_true", help="make another access key; the former one opens no more")
    lock.add_argument("--open", action="store_true", help="no key: whoever reaches this machine can use the app")


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def _workers(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 64):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes: 1 to 64")
    return int(text)


def main(args: argparse.Namespace) -> int:
    use_log(args.log)
    stops_as_by_ctrl_c()
    default = Settings.from_environment()
    inbox = None if args.no_inbox else args.inbox or default.inbox
    chosen = Settings(
        args.bundle.resolve() if args.bundle else default.bundle,
        args.keep_photos.resolve() if args.keep_photos else default.keep_photos,
        inbox.resolve() if inbox else None,
        collects=inbox is not None,
        names_zones=args.name_zones or default.names_zones,
        blur=args.blur or default.blur,
    )
    bundle = Bundle.load(chosen.bundle or DEMO_BUNDLE)  # a wrong path is said here, not on the phones
    if chosen.blur:
        process_blur()  # as is an absent detector
    if chosen.keep_photos is not None:
        check_holds_photos(chosen.keep_photos, "choose another --keep-photos")
    if chosen.inbox is not None:
        check_holds_photos(chosen.inbox, "choose another --inbox, or --no-inbox")
    give(chosen)  # to the pages, which run in this process
    keys = args.certs if args.certs is not None else data_folder()
    with ExitStack() as open_sockets:
        secure = open_sockets.enter_context(listen(args.host, args.port, "--port"))
        plain = open_sockets.enter_context(listen(args.host, args.http_port, "--http-port"))
        addresses = reached_at(args.host)
        authority, server_file = ensure(keys, names_at(args.host))
        site = Site(
            host=_in_address(addresses[0]),
            port=secure.getsockname()[1],
            certificate=authority.der,
            fingerprint=authority.fingerprint,
            key=None if args.open else access_key(keys, new=args.new_key),
        )
        workers = open_sockets.enter_context(closing(LocateWorkers(bundle.path, args.workers)))
        process_gate().widen(args.workers + 1)  # one photo lies ready for the process that is done first
        serve(
            site,
            secure,
            plain,
            server_file,
            partial(renew, keys, args.host),
            addresses,
            api_app(bundle, Service(workers, Walks(bundle.path), process_gate()), process_inbox()),
        )
    return 0


def check_holds_photos(folder: Path, remedy: str) -> None:
    """Raise CampusError where photos cannot be written to a folder, which its first photo makes."""
    try:
        check_writable(folder / "photo")
    except OSError as error:
        raise CampusError(f"photos cannot be kept here ({error.strerror})", path=folder, remedy=remedy) from error


def listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens. Raises CampusError naming the option to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        if os.name != "nt":  # there it would take a port away from another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":  # all addresses of either kind
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise CampusError(
                f"{host} is not an address of this machine", remedy="leave --host out for all of them"
            ) from error
        reason = error.strerror or str(error)
        raise CampusError(f"port {port} cannot be used ({reason})", remedy=f"choose another with {option}") from error
    return listener


def reached_at(host: str) -> tuple[str, ...]:
    """The addresses to print and certify: the one listened on, or all of this machine; loopback where it has none."""
    if host not in (EVERY_ADDRESS, "::"):
        return (socket.gethostbyname(host) if ":" not in host else host,)
    return lan_addresses() or ("127.0.0.1",)


def names_at(host: str) -> Names:
    """What a certificate is to vouch for now, with addresses as certificates write them."""
    found = (ipaddress.ip_address(address.partition("%")[0]) for address in (*reached_at(host), "127.0.0.1", "::1"))
    return Names(host_names(), tuple(dict.fromkeys(map(str, found))))


def renew(keys: Path, host: str) -> bool:
    """Make the certificate anew where it is due, or this machine has other addresses by now; whether it was made."""
    return renewed(keys, names_at(host))


def serve(
    site: Site,
    secure: socket.socket,
    plain: socket.socket,
    server_file: Path,
    renew: Callable[[], bool],
    addresses: tuple[str, ...],
    api: ASGIApp,
) -> None:
    """Serve until interrupted; both sockets listen already, and `renew` keeps `server_file`."""
    import uvicorn
    from streamlit import config as streamlit_config

    def announce() -> None:
        print(announcement(site, plain.getsockname()[1], addresses, settings()), flush=True)

    app = field_app(site, api, collect_routes() if settings().collects else ())
    # Streamlit marks its own cookies as secure where it knows of a certificate.
    streamlit_config.set_option("server.sslCertFile", str(server_file))
    quiet: dict[str, Any] = {
        "log_level": "warning",
        "log_config": None,  # its loggers write as the others do
        "access_log": False,  # an address may hold the key
        "server_header": False,
        "proxy_headers": False,  # nothing stands in front, so whoever claims to be another is not believed
        "timeout_keep_alive": KEEP_ALIVE_S,
    }
    logging.getLogger("uvicorn.error").addFilter(LineAMinute())
    room = room_for_connections()
    redirect = GuardedServer(
        uvicorn.Config(redirect_app(site), lifespan="off", ws="none", **quiet), Connections(room // 4)
    )
    redirecting = threading.Thread(target=redirect.run, kwargs={"sockets": [plain]}, daemon=True)
    redirecting.start()
    server = WatchedServer(
        uvicorn.Config(
            app,
            ssl_certfile=server_file,
            ssl_ciphers=CIPHERS,
            ws="websockets-sansio",
            ws_max_size=int(streamlit_config.get_option("server.maxMessageSize")) * 1_000_000,
            timeout_graceful_shutdown=2,  # open pages hold their connection until it is closed
            **quiet,
        ),
        Connections(room - room // 4, lock=site.key is not None),
        announce,
        ServiceManager.from_environment(),
        renew,
    )
    try:
        with suppress(
            KeyboardInterrupt
        ):  # not raised where Ctrl-C was ignored when we began, as in a shell's background
            server.run(sockets=[secure])
    finally:
        redirect.should_exit = True
        redirecting.join(5)
    if not server.started:
        raise CampusError("the server could not start; the lines above say why")
    _say_stopped()


def _say_stopped() -> None:
    """The last line on standard error, in the form that the log has."""
    if in_json():
        log.setLevel(logging.INFO)
        log.info("stopped")
    else:
        print("stopped", file=sys.stderr)


def announcement(site: Site, http_port: int, addresses: tuple[str, ...], chosen: Settings | None = None) -> str:
    """What the terminal shows: the QR code, the address it holds, and how a phone comes to trust it."""
    address = f"https://{site.host}:{site.port}/"
    with_key = f"{address}?{KEY_PARAMETER}={site.key}" if site.key else address
    lines = [
        qr_code(with_key),
        "Campus GPS is open. Scan the code with a phone on the same network, or go to",
        f"  {with_key}",
        "The code holds the access key: whoever has it can use the app. --new-key makes another."
        if site.key
        else "Unlocked (--open): whoever reaches this machine over the network can use the app.",
    ]
    chosen = chosen or Settings()
    if chosen.keep_photos:
        lines.append(f"Photos are kept in {chosen.keep_photos}, and the page says so.")
    if chosen.collects:
        lines += [
            f"Photos for this campus: {address}collect takes them, {address}review accepts them; they wait in",
            f"  {chosen.inbox}",
        ]
    if chosen.blur:
        lines.append("Faces and number plates that are found are painted over in what is stored; some are missed.")
    others = [f"https://{_in_address(other)}:{site.port}/" for other in addresses[1:]]
    if others:
        lines.append(f"Also at: {' '.join(others)}")
    lines += [
        "",
        "The first time, a phone's browser warns, since it does not know this machine. To end that, open on the phone",
        f"  http://{site.host}:{http_port}{INSTALL_PATH}",
        "and compare the fingerprint that it shows with",
        f"  {site.fingerprint}",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


def qr_code(text: str, *, coloured: bool | None = None) -> str:
    """A QR code drawn in characters, in halves of a line where the terminal's encoding has them.

    Light squares are drawn, so it needs light characters on a dark ground: `coloured` (by default where standard output
    is a terminal) makes it so whatever the terminal's colours are, for phones that read no negative.
    """
    halves = _can_print("▀▄█")
    drawn = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, compact=halves)
    rows = drawn.getvalue().splitlines()
    if halves and (sys.stdout.isatty() if coloured is None else coloured):
        rows = [f"\033[97;40m{row}\033[0m" for row in rows]
    return "\n".join(rows) + "\n"


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _in_address(host: str) -> str:
    """An address as URLs hold it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and ipaddress.ip_address(host.partition("%")[0]).version == 6 else host
