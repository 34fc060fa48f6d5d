"""`python -m app.serve` as a process of its own, for benchmarks and tests that meet it over the network."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.timing import ROOT as REPOSITORY


@dataclass
class Served:
    """A running server: what it printed, and what is needed to meet it."""

    process: subprocess.Popen[str]
    port: int
    http_port: int
    key: str
    folder: Path
    said: str

    @property
    def home(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def trusting(self) -> ssl.SSLContext:
        """Trusts the server's own authority and nothing else."""
        authority = x509.load_pem_x509_certificate((self.folder / "ca.pem").read_bytes())
        return ssl.create_default_context(cadata=authority.public_bytes(Encoding.DER))

    def ask(self, path: str, method: str = "GET", *, secure: bool = True, **headers: str) -> Reply:
        """One request on a connection of its own; no redirect is followed."""
        connection = (
            http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.trusting)
            if secure
            else http.client.HTTPConnection("localhost", self.http_port, timeout=20)
        )
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
        finally:
            connection.close()

    def cookie(self) -> str:
        """The cookie that the key is exchanged for."""
        return self.ask(f"/?key={self.key}").headers["set-cookie"].partition(";")[0]

    def stop(self) -> int:
        """End it, however long that takes where the machine is busy; gives its exit code."""
        self.process.terminate()
        return self.process.wait()


@dataclass
class Reply:
    """An answer; header names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


def start(folder: Path, bundle: Path, *options: str) -> Served:
    """Start the server on free ports of this machine only, and wait until it says that it is open."""
    said_file = folder.with_suffix(".said")
    with said_file.open("w") as said:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "edge", "serve", "--bundle", str(bundle), "--certs", str(folder),
                "--host", "127.0.0.1", "--port", "0", "--http-port", "0", *options,
            ],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdout=said,
            stderr=said,
            text=True,
        )  # fmt: skip
    until = time.monotonic() + 180
    while "Ctrl-C" not in said_file.read_text("utf-8"):
        assert process.poll() is None, said_file.read_text("utf-8")
        if time.monotonic() > until:
            process.kill()
            process.wait(20)
            raise AssertionError("not open within 180 s")
        time.sleep(0.1)
    text = said_file.read_text("utf-8")
    port = re.search(r"https://127\.0\.0\.1:(\d+)/(?:\?key=([\w-]+))?", text)
    http_port = re.search(r"http://127\.0\.0\.1:(\d+)/install", text)
    assert port
    assert http_port
    return Served(process, int(port[1]), int(http_port[1]), port[2] or "", folder, text)


def free_port() -> int:
    """A port of this machine that nothing listens on, and that the system gives no connection as its own end.

    No other process is given it here as long as this one lives: a server takes seconds until it listens.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            if _reserved(port):
                return port


def _reserved(port: int) -> bool:
    """Whether this process is the first to ask for a port: it takes a name for it, as only Linux has them."""
    if sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0campus-gps-port-{port}")
    except OSError:
        name.close()
        return False
    name.detach()  # open until the process ends
    return True


def start_plain(environment: Mapping[str, str], port: int | None = None) -> tuple[str, subprocess.Popen[bytes]]:
    """Start the app as `scripts/app` does, on a port (None: a free one); gives its address once it answers.

    Raises RuntimeError where it ends before that, or takes three minutes.
    """
    port = port or free_port()
    words = ["-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 180
    while time.monotonic() < until:
        with suppress(OSError), urlopen(f"{url}/_stcore/health", timeout=2):
            return url, process
        if process.poll() is not None:
            raise RuntimeError("the app ended while starting")
        time.sleep(0.2)
    process.kill()
    raise RuntimeError("the app did not start within three minutes")


@contextmanager
def plain(bundle: Path | None = None) -> Iterator[str]:
    """The app as `scripts/app` serves it, with the demo campus or another; gives its address."""
    url, process = start_plain({"CAMPUS_BUNDLE": str(bundle or "")})
    try:
        yield url
    finally:
        process.terminate()
        process.wait()
